package proxy

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/upstream"
)

// Config is everything a Server is told. Default gives a working one but for Upstream.
type Config struct {
	// Listen are the addresses clients connect to.
	Listen []Listener
	// Handed are sockets bound by whoever started the process. Those of an address in Listen are taken instead of binding it. nil: none.
	Handed *sock.Handed
	// MaxClients bounds client connections; one more is answered FATAL 53300 and closed.
	MaxClients int
	// ClientsPerDatabase and ClientsPerUser bound those of one database, as clients call it, and of one user, as it calls itself; 0: MaxClients alone does. One more is
	// answered FATAL 53300 and closed. Who may change something in the console comes in there nevertheless.
	ClientsPerDatabase, ClientsPerUser int
	// MaxLoginsPerAddress is how many connections of one address that have not logged in may be silent; from this number on they give way to
	// those of others. 0, or more than that: half of all that may be there.
	MaxLoginsPerAddress int
	// Files is how many file descriptors there are for clients, logged in or not: no fewer than MaxClients. 0: enough.
	Files int
	// ServerFiles is the most servers of one instance that there are file descriptors for; 0: enough.
	ServerFiles int
	// Observe pools and holds the cap, but lets every statement run that the run limit or a full queue would stop,
	// and counts it as one that would have been refused.
	Observe bool
	// Upstream is the server of every database not named in Databases.
	Upstream upstream.Upstream
	// Databases are exceptions by the name the client asks for. The one under AnyDatabase is for names that have none, and has no Upstream.
	Databases map[string]Database
	// PerLogin, PerDatabase and PerUser are how many servers a user has in one database, a database and a user in all; 0: as many as
	// PostgreSQL allows.
	PerLogin, PerDatabase, PerUser int
	// Reserve is by how many servers a user may have more than PerLogin in one database while one of his clients has waited for ReserveAfter; 0 of either: by none.
	Reserve      int
	ReserveAfter time.Duration
	// Ready is how many servers are kept ready of each user in each database while a client of his is there, or always where the database has a User of its own; 0: none.
	Ready int
	// Users are exceptions by the name of a user.
	Users map[string]UserLimits
	// Password is where the passwords of the upstreams' own users come from that are not in them.
	Password PasswordSource
	// TLS is how clients come over TLS.
	TLS TLS
	// Mode says for how long a client keeps a server.
	Mode PoolMode
	// Limit is the run limit L: statements running at once on one PostgreSQL instance; 0 finds it, and follows it.
	Limit int
	// LearnedDir is where the limit that was found is kept for a restart, one small file for each instance; empty: nowhere.
	LearnedDir string
	// Pool configures the pool of every PostgreSQL instance.
	Pool pool.Config
	// Rules recognise classes; the first that matches decides, the pool's first class is everybody else's.
	Rules []Rule
	// LoginTimeout bounds a client's login, from its first byte to ReadyForQuery.
	LoginTimeout time.Duration
	// Timeouts are after how long a client is disconnected.
	Timeouts Timeouts
	// WriteTimeout bounds how long a peer that does not read may block a write to it.
	WriteTimeout time.Duration
	// PeerTimeout bounds how long a client's or server's machine may not answer at all before the connection is taken to be lost.
	PeerTimeout time.Duration
	// CancelTimeout bounds how long a dead client's statement may take to stop before its server is closed instead.
	CancelTimeout time.Duration
	// SlowQuery is how long a statement may take without a line in the log, by fingerprint; 0: as long as it likes.
	SlowQuery time.Duration
	// MaxPrepared is how many of the guard's prepared statements one server has at most; the least recently used goes.
	MaxPrepared int
	// StatementAge is how old a server's copy of a statement may be to stand for one that a client prepares: changes made past the
	// guard are noticed after so long. 0: every text is read anew, as if nobody had prepared it.
	StatementAge time.Duration
	// PreparedMemory bounds the texts of prepared statements that are kept, in bytes. With more, who prepares another
	// by name keeps its server.
	PreparedMemory int64
	// PrepareUnnamed prepares unnamed statements that come again once for all clients, too.
	PrepareUnnamed bool
	// MaxPinned is how many clients may keep a server between transactions; 0: half of the cap (pool.Keepable).
	MaxPinned int
	// SyncApplicationName gives servers the application_name of the client they serve; false leaves theirs.
	SyncApplicationName bool
	// Spans is given what becomes of statements that are in a trace, as long as it takes them at once; nil: nobody looks whether they are.
	Spans chan<- Span
	// ShowQueries keeps texts of statements, without their literals, in memory: what is shown of a statement shows its text, too.
	ShowQueries bool
	// DeferBegin answers BEGIN in the server's place and sends it with the first statement.
	DeferBegin bool
	// Auth says who may come in.
	Auth Auth
	// Admin says who may come to the console.
	Admin Admin
	// Console serves who has logged in to one of the Consoles, until it returns or the connection ends; nil: those are databases as others are.
	Console func(srv *Server, o *Operator)
	// AcceptWhileDraining keeps accepting clients after Shutdown began.
	AcceptWhileDraining bool
	// Grace bounds Shutdown: clients still in a transaction towards its end are closed.
	Grace time.Duration
	// IdleGrace is how long after the beginning of Shutdown clients are served as before; then those between transactions are told to
	// go, and the others when their transaction has ended. Zero: at once. At the latest it is over when the last third of Grace begins.
	IdleGrace time.Duration
	// LikePgBouncer has the log, and refusals at a login, use PgBouncer's words: programs read them.
	LikePgBouncer bool
	// NoticeAfter is after how long a client whose request waits for a server is told so, in PgBouncer's words; 0: never.
	NoticeAfter time.Duration
	// Logged waits, for a moment at most, until what has been logged is written: who is refused may look for his line. Nil: nobody does.
	Logged func()
	// Log receives one line per connection's end and per event; never the text of a query.
	Log *slog.Logger
}

// PasswordSource is a file, or a program, with a password; the zero value is none.
type PasswordSource struct {
	File    string        // the first line is the password; it is read at each login
	Command []string      // the first line of what it writes is the password; it is run without a shell
	Cache   time.Duration // for how long that is used; a login that is refused for it has it run again at once
}

// source is what reads it, nil if there is none.
func (p *PasswordSource) source() *auth.Source {
	if p.File == "" && len(p.Command) == 0 {
		return nil
	}
	return auth.NewSource(p.File, p.Command, p.Cache)
}

// Listener is one address that clients connect to.
type Listener struct {
	// Addr is host:port, or unix:DIR for the socket DIR/.s.PGSQL.PORT with the port of the first TCP listener (6432).
	Addr string
	// Class, if not empty, is the class of every client that comes in here.
	Class string
	// TLS, if not empty, is in the place of the Config's.
	TLS TLSMode
	// Mode is who may connect to a socket, Group the group it belongs to; 0 and empty: as the process makes it.
	Mode  os.FileMode
	Group string
}

// Database overrides, for one database name, where its clients are taken.
type Database struct {
	// Upstream is the server; its Database, if set, is the name used there.
	Upstream upstream.Upstream
	// Mode, if not PoolModeDefault, replaces Config.Mode.
	Mode PoolMode
	// User, if not empty, is who logs in to servers, whoever the clients are.
	User string
	// Settings are those that servers have for clients that do not choose their own, by name.
	Settings map[string]string
	// MaxServers and PerLogin, if not 0, are in the places of PerDatabase and PerLogin.
	MaxServers, PerLogin int
	// Reserve and Ready, if not nil, are in the place of the Config's.
	Reserve, Ready *int
	// Lifetime, if not 0, is in the place of Pool.Lifetime.
	Lifetime time.Duration
	// MaxClients, if not 0, is in the place of ClientsPerDatabase.
	MaxClients int
	// Lookup says how users are looked up that want to come in, where that is not as Auth says.
	Lookup Lookup
}

// Lookup is Auth's Query, QueryUser and QueryAt, for one database; empty: as in Auth.
type Lookup struct{ Query, User, At string }

// AnyDatabase is the name of the exception for names that have none.
const AnyDatabase = "*"

// UserLimits are what holds for one user in the place of what holds for all, where it is not 0.
type UserLimits struct {
	// MaxServers and PerLogin are how many servers there are that are logged in to by this name, in the places of PerUser and PerLogin.
	MaxServers, PerLogin int
	// Reserve, if not nil, is in the place of the Config's, and of a database's.
	Reserve *int
	// MaxClients is how many clients call themselves so, in the place of ClientsPerUser.
	MaxClients int
	// Timeouts are those of clients that call themselves so.
	Timeouts Timeouts
}

// PoolMode says when a client's server goes back to the pool.
type PoolMode uint8

// The pool modes, named as in PgBouncer.
const (
	PoolModeDefault     PoolMode = iota // whatever the enclosing configuration says
	PoolModeTransaction                 // at the end of each transaction
	PoolModeSession                     // when the client leaves
	PoolModeStatement                   // as transaction, but transaction blocks are refused
)

// Rule gives a class to the clients that match every one of its non-empty fields.
type Rule struct {
	Class           string
	Listener        string         // the listener's Addr
	Database        string         // the name the client asks for
	User            string         // the name the client gives
	ApplicationName *regexp.Regexp // matched against the start-up packet's application_name
	// Tag, if not empty, is the key of a tag in a comment at the end or the start of a statement. The rule is then for
	// single transactions: whose first statement has the tag is of the class, if that is below the client's own.
	Tag      string
	TagValue *regexp.Regexp // matched against the tag's value; nil: any
}

// Default returns the configuration used where nothing else is said. Upstream is the zero value.
func Default() Config {
	return Config{
		Listen:        []Listener{{Addr: "127.0.0.1:6432"}},
		MaxClients:    10_000,
		Mode:          PoolModeTransaction,
		TLS:           TLS{Mode: TLSOff},
		Password:      PasswordSource{Command: []string{}, Cache: 10 * time.Minute},
		Pool:          pool.Default(),
		Rules:         []Rule{{Class: "low", ApplicationName: regexp.MustCompile(`(^|/)sidekiq(\s|$)`)}},
		LoginTimeout:  60 * time.Second,
		WriteTimeout:  30 * time.Second,
		PeerTimeout:   20 * time.Second,
		ReserveAfter:  5 * time.Second,
		CancelTimeout: 5 * time.Second,
		DeferBegin:    true,

		MaxPrepared: 200, StatementAge: time.Second, PreparedMemory: 64 << 20, PrepareUnnamed: true, SyncApplicationName: true,

		Auth:  Auth{Policy: auth.Policy{Method: auth.MethodTrust}},
		Admin: Admin{Users: []string{}, StatsUsers: []string{}},
		Grace: 60 * time.Second, IdleGrace: 3 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	}
}

// Validate returns every fault of c, each a plain sentence that starts with the path of the key.
func (c Config) Validate() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.Listen) == 0 {
		bad("listen: there must be at least one address")
	}
	classes := map[string]bool{"": true}
	for _, k := range c.Pool.Classes {
		classes[k.Name] = true
	}
	for i, l := range c.Listen {
		if err := c.validateListener(l); err != nil {
			bad("listen[%d]: %w", i, err)
		}
		if !classes[l.Class] {
			bad("listen[%d].class: there is no class %q", i, l.Class)
		}
		if !l.TLS.valid() {
			bad("listen[%d].tls: %q is not one of %s", i, l.TLS, strings.Join(TLSModes, ", "))
		}
	}
	c.validateTLS(bad)
	if c.Password.File != "" && len(c.Password.Command) > 0 {
		bad("upstream_password.command: there is a file, too; give one of them")
	}
	for i, r := range c.Rules {
		if r.TagValue != nil && r.Tag == "" {
			bad("classes: rule %d of class %q has a tag_value without a tag", i, r.Class)
		}
		if !classes[r.Class] || r.Class == "" {
			bad("classes: rule %d names class %q, which does not exist", i, r.Class)
		}
	}
	if c.MaxClients < 1 {
		bad("max_clients: %d is less than 1", c.MaxClients)
	}
	for key, n := range map[string]int{"database": c.ClientsPerDatabase, "user": c.ClientsPerUser} {
		if n < 0 {
			bad("max_clients_per_%s: %d is negative; give a number of clients or auto", key, n)
		}
	}
	if c.MaxLoginsPerAddress < 0 {
		bad("max_logins_per_address: %d is negative; give a number of connections or auto", c.MaxLoginsPerAddress)
	}
	if c.Files != 0 && c.Files < c.MaxClients {
		bad("max_clients: %d clients have %d file descriptors", c.MaxClients, c.Files)
	}
	if c.ServerFiles < 0 {
		bad("pool.max_servers: %d file descriptors are for servers", c.ServerFiles)
	}
	if c.Limit < 0 {
		bad("pool.limit: %d is negative; give a number of statements or auto", c.Limit)
	}
	faults = append(faults, c.validateTimes()...)
	faults = append(faults, c.validateAuth()...)
	faults = append(faults, c.validateStatements()...)
	for key, n := range map[string]int{"login": c.PerLogin, "database": c.PerDatabase, "user": c.PerUser} {
		if n < 0 {
			bad("pool.max_servers_per_%s: %d is negative; give a number of connections or auto", key, n)
		}
	}
	if c.Ready < 0 {
		bad("pool.min_servers_per_login: %d is negative; 0 keeps no server ready", c.Ready)
	}
	if c.Reserve < 0 {
		bad("pool.reserve_servers_per_login: %d is negative; 0 is no reserve", c.Reserve)
	}
	if c.Databases[AnyDatabase].Upstream.Host != "" {
		bad("databases[\"*\"].upstream: that of names which are not here is upstream, above")
	}
	if c.MaxPinned < 0 {
		bad("pool.max_pinned: %d is negative; give a number of clients or auto", c.MaxPinned)
	}
	c.validateUpstreams(bad)
	for _, err := range c.Pool.Validate() {
		bad("pool.%w", err)
	}
	return faults
}

// validateStatements returns every fault of what is kept of prepared statements.
func (c Config) validateStatements() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.MaxPrepared < 1 {
		bad("pool.max_prepared_statements: %d is less than 1", c.MaxPrepared)
	}
	if c.StatementAge < 0 {
		bad("pool.statement_age: %s is negative", c.StatementAge)
	}
	if c.PreparedMemory < 1<<20 {
		bad("pool.prepared_memory: %d MiB is less than 1", c.PreparedMemory>>20)
	}
	return faults
}

// validateTimes returns every fault of the times.
func (c Config) validateTimes() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, t := range []struct {
		key string
		d   time.Duration
	}{{"login_timeout", c.LoginTimeout}, {"write_timeout", c.WriteTimeout}, {"cancel_timeout", c.CancelTimeout}} {
		if t.d <= 0 {
			bad("%s: %s is not a positive time", t.key, t.d)
		}
	}
	if c.PeerTimeout < time.Second {
		bad("peer_timeout: %s is less than 1s, in which a network may lose a few packets", c.PeerTimeout)
	}
	if c.Grace < 0 {
		bad("shutdown.grace: %s is negative", c.Grace)
	}
	if c.IdleGrace < 0 {
		bad("shutdown.idle_grace: %s is negative; 0 tells idle clients to go at once", c.IdleGrace)
	}
	return faults
}

// validateUpstreams refuses to have none, and those that are pgguard itself: it would wait for its own answers.
func (c Config) validateUpstreams(bad func(string, ...any)) {
	if c.Upstream.Host == "" && len(c.Databases) == 0 {
		bad("upstream: is missing; give postgres://user:password@host:port/database by --upstream, PGGUARD_UPSTREAM or upstream in the file (DATABASE_URL is not read)")
	}
	if c.LikePgBouncer { // whose lines may lead to its own console
		return
	}
	const itself = "is an address of pgguard itself (listen); give that of PostgreSQL"
	if c.isItself(c.Upstream) {
		bad("upstream: " + itself)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Databases)) {
		if u := c.Databases[name].Upstream; u.Identity() != c.Upstream.Identity() && c.isItself(u) { // what it has from above is told above
			bad("databases.%s.upstream: "+itself, name)
		}
	}
	c.validateWays(bad)
}

// validateWays refuses upstreams that say of one PostgreSQL how to get there in different ways: the first would count for all.
func (c Config) validateWays(bad func(string, ...any)) {
	type named struct {
		name string
		upstream.Upstream
	}
	first := map[string]named{}
	if c.Upstream.Host != "" {
		first[c.Upstream.Identity()] = named{"upstream", c.Upstream}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Databases)) {
		u, where := c.Databases[name].Upstream, "databases."+name+".upstream"
		if u.Host == "" {
			continue
		}
		one, ok := first[u.Identity()]
		if !ok {
			first[u.Identity()] = named{where, u}
		} else if keys := one.Contradicts(u); len(keys) > 0 {
			bad("%s: is at the same PostgreSQL as %s, which says otherwise how to get there: give the same %s", where, one.name, strings.Join(keys, ", "))
		}
	}
}

// isItself is true if one of an upstream's places is an address for clients, as far as the text of both shows it.
func (c Config) isItself(u upstream.Upstream) bool {
	for _, p := range u.Places() {
		host := cmp.Or(p.HostAddr, p.Host)
		for _, l := range c.Listen {
			if dir, ok := strings.CutPrefix(l.Addr, "unix:"); ok {
				if p.Host == filepath.Clean(dir) && SocketPort(c.Listen) == strconv.Itoa(p.Port) {
					return true
				}
				continue
			}
			at, port, err := net.SplitHostPort(l.Addr)
			if err != nil || port != strconv.Itoa(p.Port) {
				continue
			}
			if everywhere := at == "" || net.ParseIP(at).IsUnspecified(); everywhere && IsLoopback(host) || numbered(at) == numbered(host) {
				return true
			}
		}
	}
	return false
}

// numbered is a host by its address, where that is known without asking.
func numbered(host string) string {
	if host == "localhost" {
		return "127.0.0.1"
	}
	return host
}

// validateListener refuses addresses that cannot be listened on, and those that other machines can reach, unless clients prove who they are and
// nobody can listen in. A unix socket is as good as loopback.
func (c Config) validateListener(l Listener) error {
	if dir, ok := strings.CutPrefix(l.Addr, "unix:"); ok {
		if dir == "" {
			return fmt.Errorf("%q names no directory; write unix:/run/pgguard", l.Addr)
		}
		return nil
	}
	host, _, err := net.SplitHostPort(l.Addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port or unix:DIR", l.Addr)
	}
	if l.Mode != 0 || l.Group != "" {
		return fmt.Errorf("%q is no unix socket, whose mode and group could be chosen", l.Addr)
	}
	if IsLoopback(host) || c.Auth.Insecure {
		return nil
	}
	const ways = "three ways out: listen on 127.0.0.1, [::1] or unix:DIR; %s; or say by auth.insecure: true that the network is yours alone"
	switch c.Auth.Policy.Exposed(c.encrypted(l)) {
	case auth.MethodTrust:
		return fmt.Errorf("%q can be reached from other machines, but clients are trusted without a password; "+
			fmt.Sprintf(ways, "have clients prove who they are, over TLS (auth.method: scram-sha-256, tls.mode: require)"), l.Addr)
	case auth.MethodPassword:
		return fmt.Errorf("%q can be reached from other machines, but passwords and data cross the network without TLS; "+
			fmt.Sprintf(ways, "have clients use TLS (tls.mode: require)"), l.Addr)
	}
	return nil
}

// IsLoopback is true for a host of an address that other machines cannot reach: localhost, or a loopback address.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// encrypted is true if clients of a listener must use TLS.
func (c Config) encrypted(l Listener) bool { return c.tlsOf(l).requires() }

// validateAuth returns every fault of who may come in.
func (c Config) validateAuth() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	a := &c.Auth
	tcp := slices.ContainsFunc(c.Listen, func(l Listener) bool { return !strings.HasPrefix(l.Addr, "unix:") && !c.encrypted(l) })
	if tcp && !a.Insecure && a.Policy.Uses(auth.MethodPassword) {
		bad("auth.method: password has clients send their passwords as they are; give it to unix sockets and TLS alone (auth.rules), " +
			"use scram-sha-256, or say by auth.insecure: true that nobody listens")
	}
	cert := func(r auth.Rule) bool { return r.Method == auth.MethodCert }
	if (a.Policy.Method == auth.MethodCert || slices.ContainsFunc(a.Policy.Rules, cert)) && c.TLS.Files.ClientCA == "" {
		bad("auth.method: cert needs tls.client_ca, the authorities that vouch for clients")
	}
	asks := a.Policy.Method.AsksPassword() || slices.ContainsFunc(a.Policy.Rules, func(r auth.Rule) bool { return r.Method.AsksPassword() })
	knows := slices.ContainsFunc(a.Policy.Rules, func(r auth.Rule) bool { return r.Known })
	source := len(a.Users) > 0 || a.UsersFile != "" || c.looksUp()
	if asks && !source {
		bad("auth.method: clients are asked for passwords, but nobody's is known; give auth.query: auto, auth.users_file or auth.users")
	}
	if knows && !source {
		bad("auth.rules: known lets those in who are known, but nobody is; give auth.query: auto, auth.users_file or auth.users")
	}
	if source && !asks && !knows && (a.Query != "" || len(a.Policy.Rules) == 0) { // those of a file may be for logins to servers alone
		bad("auth.method: %s asks for no password, and no rule does, but there are users with passwords; use scram-sha-256", a.Policy.Method)
	}
	return append(faults, c.validateLookups()...)
}

// looksUp is true if users are looked up, of one database at least.
func (c Config) looksUp() bool {
	for _, d := range c.Databases {
		if d.Lookup.Query != "" {
			return true
		}
	}
	return c.Auth.Query != ""
}

// validateLookups returns every fault of how users are looked up.
func (c Config) validateLookups() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	a := &c.Auth
	if a.Query != "" && a.Query != instance.QueryAuto && !strings.Contains(a.Query, "$1") {
		bad("auth.query: has no $1, in whose place the name of the user is put")
	}
	if a.Query == "" && !c.looksUp() && (a.QueryDatabase != "" || a.QueryUser != "" || a.QueryAt != "") {
		bad("auth.query: is missing, but auth.query_database, auth.query_user or auth.query_at is given; use auto")
	}
	if a.QueryDatabase != "" && a.QueryAt != "" {
		bad("auth.query_at: is another place than auth.query_database; give one of them")
	}
	if IsConsole(a.QueryAt) {
		bad("auth.query_at: cannot use the reserved %q database as an auth_dbname", a.QueryAt)
	}
	return faults
}
