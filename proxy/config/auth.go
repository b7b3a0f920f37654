package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pgguard/proxy"
	"pgguard/proxy/auth"
)

// Auth says who may come in.
type Auth struct {
	Method        AuthMethod          `yaml:"method"`
	Users         map[string]AuthUser `yaml:"users"`
	UsersFile     string              `yaml:"users_file"`
	Query         string              `yaml:"query"`
	QueryDatabase string              `yaml:"query_database"`
	QueryUser     string              `yaml:"query_user"`
	QueryAt       string              `yaml:"query_at"`
	Rules         []AuthRule          `yaml:"rules"`
	Insecure      bool                `yaml:"insecure"`
}

// AuthUser is what is known of one user's password: one of these.
type AuthUser struct {
	Secret       Secret       `yaml:"secret"`
	Password     UserPassword `yaml:"password"`
	PasswordFile string       `yaml:"password_file"`
}

// AuthRule is about the clients that match all it names, as a line of pg_hba.conf is.
type AuthRule struct {
	Address  Names            `yaml:"address"`
	Database Names            `yaml:"database"`
	User     Names            `yaml:"user"`
	TLS      Maybe            `yaml:"tls"`
	Method   AuthMethod       `yaml:"method"`
	Map      map[string]Names `yaml:"map"`
	Known    bool             `yaml:"known"`
}

// Lookup says how users are looked up that come to one database; empty: as for all.
type Lookup struct {
	Query     string `yaml:"query"`
	QueryUser string `yaml:"query_user"`
	QueryAt   string `yaml:"query_at"`
}

func (r *AuthRule) fresh() { *r = AuthRule{TLS: "any", Map: map[string]Names{}} }

// AuthMethod is how a client proves who it is, named as in pg_hba.conf.
type AuthMethod string

func (m *AuthMethod) set(text string) error {
	var words []string
	for _, w := range auth.Methods {
		words = append(words, string(w))
	}
	return setEnum((*string)(m), text, words...)
}

// Names are one or several, written as a text or as a list.
type Names []string

func (n *Names) set(text string) error {
	if text == "" {
		return errors.New("is empty; remove the key to have no limit")
	}
	*n = Names{text}
	return nil
}

// MarshalYAML returns a list.
func (n Names) MarshalYAML() (any, error) { return append([]string{}, n...), nil }

// Maybe is true, false or any.
type Maybe string

func (m *Maybe) set(text string) error { return setEnum((*string)(m), text, "any", "true", "false") }

// MarshalYAML returns a truth value, or any.
func (m Maybe) MarshalYAML() (any, error) {
	switch m {
	case "true", "false":
		return m == "true", nil
	}
	return "any", nil
}

// stars stands in the place of what is not shown. Read back, it is a secret that nobody knows.
const stars = "***"

// sealed is a text that is never shown.
type sealed struct {
	secret auth.Secret
	given  bool
}

func (s sealed) same(o sealed) bool { return s.given == o.given && s.secret.Same(o.secret) }

// MarshalYAML returns *** for what was given.
func (s sealed) MarshalYAML() (any, error) {
	if !s.given {
		return "", nil
	}
	return stars, nil
}

// Secret is what PostgreSQL keeps of a password.
type Secret struct{ sealed }

func (s *Secret) set(text string) error {
	if text == "" || text == stars {
		*s = Secret{sealed{given: text != ""}}
		return nil
	}
	parsed, err := auth.ParseSecret(text)
	if err != nil || parsed.IsPlain() {
		return errors.New("is not what PostgreSQL keeps of a password (SELECT rolpassword FROM pg_authid); a password stands under password or in password_file")
	}
	*s = Secret{sealed{parsed, true}}
	return nil
}

// UserPassword is a password.
type UserPassword struct{ sealed }

func (p *UserPassword) set(text string) error {
	*p = UserPassword{sealed{given: text != ""}}
	if text != stars {
		p.secret = auth.Plain(text)
	}
	return nil
}

// chooseMethod says how clients prove who they are where the file does not: as the rest of it lets expect.
func (f *File) chooseMethod(given bool) {
	a := &f.Auth
	switch {
	case given:
	case len(a.Rules) > 0:
		a.Method = "reject"
	case len(a.Users) > 0 || a.UsersFile != "" || a.Query != "":
		a.Method = "scram-sha-256"
	}
}

func (f *File) checkAuth(c *checker) {
	f.checkQueryAt(c, "auth.query_at", f.Auth.QueryAt)
	for name, u := range f.Auth.Users {
		path := join("auth.users", name)
		n := 0
		for _, given := range []bool{u.Secret.given, u.Password.given, u.PasswordFile != ""} {
			if given {
				n++
			}
		}
		switch {
		case name == "":
			c.bad(path, "a user must have a name")
		case n != 1:
			c.bad(path, "must have one of secret, password and password_file")
		}
	}
	for i, r := range f.Auth.Rules {
		path := fmt.Sprintf("auth.rules[%d]", i)
		if r.Method == "" {
			c.bad(path+".method", "is missing")
		}
		if _, _, err := parseAddresses(r.Address); err != nil {
			c.bad(path+".address", "%v", err)
		}
		for key, names := range map[string]Names{"database": r.Database, "user": r.User} {
			for _, name := range names {
				if name == "" || strings.ContainsAny(name[:1], "/+@") {
					c.bad(path+"."+key, "%q is no name; regular expressions, +role and @file are not available", name)
				}
			}
		}
		for _, name := range r.Database {
			if name == "samerole" || name == "samegroup" {
				c.bad(path+".database", "%s is not available: pgguard does not know who is a member of which role", name)
			}
			if !slices.Contains(auth.Keywords, name) && !proxy.IsConsole(name) {
				f.checkNamed(c, path+".database", name)
			}
		}
		if r.Known && auth.Method(r.Method).AsksPassword() {
			c.bad(path+".known", "is of no use where clients are asked for passwords")
		}
		if len(r.Map) > 0 && r.Method != "peer" && r.Method != "cert" {
			c.bad(path+".map", "is for the methods peer and cert")
		}
	}
}

// checkLookup refuses what nobody could be looked up by, of one database.
func (f *File) checkLookup(c *checker, path string, own Lookup) {
	if q := own.Query; q != "" && q != "auto" && !strings.Contains(q, "$1") {
		c.bad(path+".auth.query", "has no $1, in whose place the name of the user is put")
	}
	if own.Query == "" && f.Auth.Query == "" {
		for key, given := range map[string]string{"query_user": own.QueryUser, "query_at": own.QueryAt} {
			if given != "" {
				c.bad(path+".auth."+key, "is of no use without a query; give %s.auth.query: auto, or auth.query for all databases", path)
			}
		}
	}
	if proxy.IsConsole(own.QueryAt) {
		c.bad(path+".auth.query_at", "cannot use the reserved %q database as an auth_dbname", own.QueryAt)
	}
	f.checkQueryAt(c, path+".auth.query_at", own.QueryAt)
}

// checkQueryAt refuses a database that is nowhere; the console is told of elsewhere.
func (f *File) checkQueryAt(c *checker, path, name string) {
	if !proxy.IsConsole(name) {
		f.checkNamed(c, path, name)
	}
}

// checkNamed refuses the name of a database that is nowhere. In PgBouncer's place nobody does: it tells of some at a login, of others never.
func (f *File) checkNamed(c *checker, path, name string) {
	if _, ok := f.Databases[name]; name == "" || ok || !f.Upstream.missing() || f.LikePgBouncer {
		return
	}
	c.faults = append(c.faults, Fault{
		Path:    path,
		Message: fmt.Sprintf("there is no database %q, nor an upstream for every database", name),
		because: "upstream",
	})
}

// parseAddresses reads networks and unix; all stands for every one, and so does none.
func parseAddresses(texts Names) (nets []netip.Prefix, local bool, err error) {
	for _, text := range texts {
		switch text {
		case "all":
			return nil, false, nil
		case "unix":
			local = true
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil || a.Zone() != "" {
				return nil, false, fmt.Errorf("%q is not an address such as 10.1.2.3, a network such as 10.0.0.0/8, unix or all", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() { // clients who come so are seen by their address of IPv4
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-(128-32))
		}
		if !p.IsValid() {
			return nil, false, fmt.Errorf("%q is more than the addresses of IPv4, and has some of IPv6; name them by two networks", text)
		}
		nets = append(nets, p.Masked())
	}
	return nets, local, nil
}

// toProxy returns a as the proxy is told.
func (a Auth) toProxy() proxy.Auth {
	out := proxy.Auth{
		Policy:    auth.Policy{Method: auth.Method(a.Method)},
		UsersFile: a.UsersFile, Query: a.Query, QueryDatabase: a.QueryDatabase, QueryUser: a.QueryUser, QueryAt: a.QueryAt, Insecure: a.Insecure,
	}
	for name, u := range a.Users {
		if out.Users == nil {
			out.Users = map[string]proxy.User{}
		}
		secret := u.Secret.secret
		if u.Password.given {
			secret = u.Password.secret
		}
		out.Users[name] = proxy.User{Secret: secret, PasswordFile: u.PasswordFile}
	}
	for _, r := range a.Rules {
		rule := auth.Rule{Databases: r.Database, Users: r.User, Method: auth.Method(r.Method), Known: r.Known}
		var err error
		if rule.Addresses, rule.Local, err = parseAddresses(r.Address); err != nil || r.Method == "" {
			continue // checkAuth tells of it
		}
		switch r.TLS {
		case "true":
			rule.Over = auth.OverTLS
		case "false":
			rule.Over = auth.OverPlain
		}
		for name, as := range r.Map {
			if rule.Map == nil {
				rule.Map = map[string][]string{}
			}
			rule.Map[name] = slices.Clone(as)
		}
		out.Policy.Rules = append(out.Policy.Rules, rule)
	}
	return out
}
