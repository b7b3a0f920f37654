package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// systemServices is where libpq looks for services of all users, if PGSYSCONFDIR does not say where: the directory of Debian's packages.
const systemServices = "/etc/postgresql-common"

// maxServiceFile is more than a list of a thousand services has.
const maxServiceFile = 1 << 20

// serve adds what the service says of keys that are not given, if one is named.
func (v values) serve() error {
	service := v.text("service")
	if _, given := v["service"]; !given {
		service = os.Getenv("PGSERVICE")
		v["service"] = value{service, "PGSERVICE"}
	}
	if service == "" {
		return nil
	}
	var looked []string
	for _, file := range serviceFiles() {
		text, err := readServices(file.path)
		if errors.Is(err, fs.ErrNotExist) && !file.named {
			looked = append(looked, file.path+" (which is not there)")
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.name("service"), err)
		}
		found, err := v.readService(service, file.path, text)
		if found || err != nil {
			return err
		}
		looked = append(looked, file.path)
	}
	return fmt.Errorf("%s: there is no service of that name in %s", v.name("service"), strings.Join(looked, " nor in "))
}

// serviceFile is one in which services may stand; named: somebody has said so, and it must be there.
type serviceFile struct {
	path  string
	named bool
}

// serviceFiles are those in which libpq looks, in order.
func serviceFiles() (list []serviceFile) {
	home, err := os.UserHomeDir()
	if path := os.Getenv("PGSERVICEFILE"); path != "" {
		list = append(list, serviceFile{path, true})
	} else if err == nil {
		list = append(list, serviceFile{filepath.Join(home, ".pg_service.conf"), false})
	}
	return append(list, serviceFile{filepath.Join(cmp.Or(os.Getenv("PGSYSCONFDIR"), systemServices), "pg_service.conf"), false})
}

// readServices reads a file that is not long.
func readServices(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxServiceFile {
		return "", fmt.Errorf("%s is no file of services", path)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// readService adds what a file says of a service, if it does. The first value of a key counts, as everything given before it.
func (v values) readService(service, path, text string) (found bool, err error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '[' && found:
			return true, nil
		case line[0] == '[':
			found = strings.HasPrefix(line[1:], service+"]")
			continue
		case !found:
			continue
		}
		where := fmt.Sprintf("service %s in %s, line %d", service, path, number)
		key, text, ok := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "ldap"):
			return true, fmt.Errorf("%s: pgguard does not look up services by LDAP", where)
		case !ok:
			return true, fmt.Errorf("%s is not key=value", where)
		case key == "service":
			return true, fmt.Errorf("%s: a service cannot refer to another", where)
		case ruleOf(key) == nil:
			if plainKey.MatchString(key) {
				return true, fmt.Errorf("%s: unknown key %s", where, key)
			}
			return true, fmt.Errorf("%s: unknown key (with no space before the =)", where)
		}
		if _, given := v[key]; !given {
			v[key] = value{text, where}
		}
	}
	return found, nil
}
