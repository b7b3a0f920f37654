package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pgguard/proxy/paper"
)

// ErrNoPassword is why a login cannot go on: it is a fault of the configuration, which trying again does not mend.
var ErrNoPassword = errors.New("server asks for a password, none is configured")

// MD5 returns the answer to AuthenticationMD5Password.
func MD5(user, password string, salt [4]byte) string {
	return salted(digest(user, password), salt)
}

// FromPassfile returns the password for a login in libpq's password file at path, or "". An empty path means the
// usual place. A file that others can read is ignored, as libpq does.
func FromPassfile(path, host, port, database, user string) string {
	text, err := readPassfile(path)
	if err != nil {
		return ""
	}
	if host == "/tmp" || host == "/var/run/postgresql" { // where libpq looks for sockets by itself
		host = "localhost"
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.TrimRight(line, "\r\n"), !strings.HasPrefix(line, "#")
		for _, want := range []string{host, port, database, user} {
			if !ok {
				break
			}
			var field string
			star := strings.HasPrefix(rest, "*:")
			field, rest, ok = passfileField(rest)
			ok = ok && (star || field == want)
		}
		if ok {
			password, _, _ := passfileField(rest)
			return password
		}
	}
	return ""
}

// PassfileFault is why the password file at path, or in the usual place, is not read although it is there.
func PassfileFault(path string) error {
	if _, err := readPassfile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// readPassfile reads libpq's password file.
func readPassfile(path string) ([]byte, error) {
	if path == "" {
		path = os.Getenv("PGPASSFILE")
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fs.ErrNotExist
		}
		path = filepath.Join(home, ".pgpass")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("password file %s is ignored: it is no plain file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("password file %s is ignored: others can read it, its mode is %#o; chmod 600", path, info.Mode().Perm())
	}
	return paper.Read(path, paper.Small)
}

// passfileField returns what the line holds up to a colon, a backslash taking the next character as it is, and what is behind; ok is false without a colon.
func passfileField(line string) (field, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == ':':
			return b.String(), line[i+1:], true
		case line[i] == '\\' && i+1 < len(line):
			i++
		}
		b.WriteByte(line[i])
	}
	return b.String(), "", false
}
