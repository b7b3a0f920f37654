package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pgguard/proxy"
)

// What a class in the file has where it says nothing: the built-in high class's wait and queue, a small share.
const (
	defaultMaxWait  = Duration(5 * time.Second)
	defaultMaxQueue = 10_000
)

// shortestLogin is the least that clients may have to log in: a few round trips and the work of SCRAM, beside a busy database.
const shortestLogin = Duration(100 * time.Millisecond)

// checker collects the faults in the meaning of a File.
type checker struct{ faults Faults }

func (c *checker) bad(path, format string, args ...any) {
	c.faults = append(c.faults, Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

// inherit gives each database what it does not say itself.
func (f *File) inherit() {
	for name, db := range f.Databases {
		if db.Upstream.missing() && name != proxy.AnyDatabase {
			db.Upstream = f.Upstream
		}
		if db.Settings == nil {
			db.Settings = map[string]string{}
		}
		if db.Pool.Mode == "" {
			db.Pool.Mode = f.Pool.Mode
		}
		f.Databases[name] = db
	}
}

// check returns the faults that need more than one key, or a rule, to see. The listeners that classes name may be absent
// if the command line replaced the file's.
func (f *File) check(listenOverridden bool) Faults {
	c := &checker{}
	f.checkAddresses(c)
	f.checkAdmin(c)
	f.checkLearned(c)
	f.checkIncidents(c)
	f.checkTakeover(c)
	f.checkOTLP(c)
	f.checkClasses(c, listenOverridden)
	f.checkDatabases(c)
	f.checkAuth(c)
	f.checkOperators(c)
	if t := f.LoginTimeout; t > 0 && t < shortestLogin {
		c.bad("login_timeout", "%s is less than %s, in which nobody can be sure to log in", t, shortestLogin)
	}
	if p := f.Password.Command; len(p) > 0 && p[0] == "" {
		c.bad("upstream_password.command[0]", "is empty; give a program")
	}
	for _, err := range f.ToProxy().Validate() {
		path, message, _ := strings.Cut(err.Error(), ": ")
		if !strings.HasPrefix(path, "pool.classes") { // checkClasses says it, all of it, with the file's own keys
			c.bad(path, "%s", message)
		}
	}
	return c.faults
}

func (f *File) checkAddresses(c *checker) {
	seen := map[string]int{}
	for i, l := range f.Listen {
		path := fmt.Sprintf("listen[%d]", i)
		dir, socket := strings.CutPrefix(l.Addr, "unix:")
		same := l.Addr
		if socket {
			same = "unix:" + filepath.Clean(dir)
			c.socketPath(path, proxy.SocketPath(dir, proxy.SocketPort(f.ToProxy().Listen)))
		}
		if first, ok := seen[same]; ok {
			c.bad(path, "%q is also listen[%d]", l.Addr, first)
			continue
		}
		seen[same] = i
		if l.Addr == f.HTTP && !strings.HasSuffix(l.Addr, ":0") {
			c.bad("http", "%q is also listen[%d]; clients and pages need addresses of their own", f.HTTP, i)
		}
		if _, port, err := net.SplitHostPort(l.Addr); err == nil && !strings.HasPrefix(l.Addr, "unix:") {
			if err := checkPort(port); err != nil {
				c.bad(path, "%v", err)
			}
		}
	}
	if f.HTTP == "off" {
		return
	}
	host, port, err := net.SplitHostPort(f.HTTP)
	if err != nil {
		c.bad("http", "%q is not host:port; off serves no HTTP", f.HTTP)
		return
	}
	if err := checkPort(port); err != nil {
		c.bad("http", "%v", err)
	}
	t := f.Admin.TLS
	if proxy.IsLoopback(host) || f.Auth.Insecure {
		return
	}
	const ways = "three ways out: listen on 127.0.0.1 or [::1]; have callers come over TLS (admin.tls.cert, admin.tls.key) and know a token (admin.token_file) or " +
		"show a certificate (admin.tls.client_ca); or say by auth.insecure: true that the network is yours alone"
	switch {
	case f.Admin.TokenFile == "" && t.ClientCA == "":
		c.bad("http", "%q can be reached from other machines, and everybody may see what is there; "+ways, f.HTTP)
	case t.Cert == "":
		c.bad("http", "%q can be reached from other machines, and the token crosses the network without TLS; "+ways, f.HTTP)
	}
}

// longestSocket is how long a path may be in the address of a socket.
const longestSocket = len(syscall.RawSockaddrUnix{}.Path) - 1

// FitsSocket is true for a path that the system has room for in the address of a socket.
func FitsSocket(path string) bool { return len(path) <= longestSocket }

// socketPath refuses one that it has no room for.
func (c *checker) socketPath(key, path string) {
	if !FitsSocket(path) {
		c.bad(key, "%q is too long for a socket: %d bytes, of at most %d", path, len(path), longestSocket)
	}
}

func (f *File) checkAdmin(c *checker) {
	t := f.Admin.TLS
	switch {
	case t.Cert == "" && t.Key != "":
		c.bad("admin.tls.cert", "is missing; admin.tls.key is of no use without it")
	case t.Cert == "" && t.ClientCA != "":
		c.bad("admin.tls.cert", "is missing; nobody shows a certificate without TLS")
	case t.Cert != "" && t.Key == "":
		c.bad("admin.tls.key", "is missing; admin.tls.cert is of no use without it")
	}
	if t.ClientCRL != "" && t.ClientCA == "" {
		c.bad("admin.tls.client_crl", "is of no use without admin.tls.client_ca")
	}
}

// checkOperators refuses names that are none.
func (f *File) checkOperators(c *checker) {
	for key, names := range map[string][]string{"admin.users": f.Admin.Users, "admin.stats_users": f.Admin.StatsUsers} {
		for i, name := range names {
			if name == "" {
				c.bad(fmt.Sprintf("%s[%d]", key, i), "a user must have a name")
			}
		}
	}
}

// checkPort refuses what is no port; 0 is one, the system chooses.
func checkPort(port string) error {
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("the port is not a number from 0 to 65535")
	}
	return nil
}

func (f *File) checkIncidents(c *checker) {
	in := f.Incidents
	if in.File != "" && !filepath.IsAbs(in.File) {
		c.bad("incidents.file", "%q is not the path of a file from the root", in.File)
	}
	if in.Size < 1 {
		c.bad("incidents.size", "%d MiB is less than 1", in.Size)
	}
	if in.Keep < 0 || in.Keep > 100 {
		c.bad("incidents.keep", "%d is not a number of old files from 0 to 100", in.Keep)
	}
}

func (f *File) checkTakeover(c *checker) {
	if s := f.Takeover.Socket; s != "" && !filepath.IsAbs(s) {
		c.bad("takeover.socket", "%q is not the path of a socket from the root", s)
	} else {
		c.socketPath("takeover.socket", s)
	}
	if f.Takeover.Timeout <= 0 {
		c.bad("takeover.timeout", "%s is no time to start in", f.Takeover.Timeout)
	}
}

func (f *File) checkOTLP(c *checker) {
	if f.OTLP.Interval < Duration(time.Second) {
		c.bad("otlp.interval", "%v is less than 1s", f.OTLP.Interval.Std())
	}
	if f.OTLP.URL == "" {
		return
	}
	u, err := url.Parse(f.OTLP.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		c.bad("otlp.url", "this is not the URL of a collector, such as http://127.0.0.1:4318, without user and question mark")
	}
}

func (f *File) checkLearned(c *checker) {
	if w := f.Pool.Learned; w != "auto" && w != "off" && !filepath.IsAbs(w) {
		c.bad("pool.learned", "%q is not auto, off or the path of a directory from the root", w)
	}
}

func (f *File) checkClasses(c *checker, listenOverridden bool) {
	if len(f.Classes) == 0 {
		c.bad("classes", "there must be at least one; remove the key to have the built-in ones")
	}
	seen := map[string]int{}
	for i, k := range f.Classes {
		path := fmt.Sprintf("classes[%d]", i)
		first, twice := seen[k.Name]
		switch {
		case k.Name == "":
			c.bad(path+".name", "is missing")
		case !plainName.MatchString(k.Name):
			c.bad(path+".name", "%q has characters other than letters, digits, _ and -", k.Name)
		case twice:
			c.bad(path+".name", "%q is also the name of classes[%d]", k.Name, first)
		default:
			seen[k.Name] = i
		}
		if k.Weight < 1 {
			c.bad(path+".weight", "%d is less than 1", k.Weight)
		}
		if k.MaxWait <= 0 {
			c.bad(path+".max_wait", "%s is not a positive time", k.MaxWait)
		}
		if k.MaxQueue < 1 {
			c.bad(path+".max_queue", "%d is less than 1", k.MaxQueue)
		}
		if !(k.MaxShare > 0 && k.MaxShare <= 1) {
			c.bad(path+".max_share", "%v is not above 0 and up to 1", k.MaxShare)
		}
		f.checkMatches(c, path, k.Match, listenOverridden)
	}
}

func (f *File) checkMatches(c *checker, path string, matches []Match, listenOverridden bool) {
	for i, m := range matches {
		at := fmt.Sprintf("%s.match[%d]", path, i)
		if m == (Match{}) {
			c.bad(at, "is empty and would match every client; name a listener, database, user or application_name")
		}
		known := slices.ContainsFunc(f.Listen, func(l Listen) bool { return l.Addr == m.Listener })
		if m.Listener != "" && !known && !listenOverridden {
			c.bad(at+".listener", "%q is not one of the addresses under listen", m.Listener)
		}
		f.checkNamed(c, at+".database", m.Database)
	}
}

// settingName is what a setting may be called, and notSettings are other things that a start-up packet has, or that are each client's own.
var (
	settingName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	notSettings = []string{"user", "database", "options", "replication", "application_name", "guard.class"}
)

func (f *File) checkDatabases(c *checker) {
	for name := range f.Users {
		if name == "" {
			c.bad(join("users", name), "a user must have a name")
		}
	}

	for name, db := range f.Databases {
		path := join("databases", name)
		if proxy.IsConsole(name) {
			c.bad(path, "is the name of the admin console")
		}
		if name == "" {
			c.bad(path, "a database must have a name")
		}
		f.checkLookup(c, path, db.Auth)
		for setting := range db.Settings {
			if !settingName.MatchString(setting) || slices.Contains(notSettings, strings.ToLower(setting)) {
				c.bad(join(path+".settings", setting), "is no setting of PostgreSQL that servers can be started with")
			}
		}
		if db.Upstream.missing() && (name != proxy.AnyDatabase || f.Upstream.missing()) {
			c.faults = append(c.faults, Fault{
				Path:    path + ".upstream",
				Message: "is missing, and there is no upstream for every database to take its place",
				because: "upstream",
			})
		}
	}
}
