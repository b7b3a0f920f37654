package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// defaultConnectTimeout is long enough for a busy server to answer a login and short enough that a dead host is noticed
// within the longest wait of a client.
const defaultConnectTimeout = 10 * time.Second

// environment has the variables from which comes what an upstream leaves out.
var environment = map[string]string{
	"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "passfile": "PGPASSFILE",
	"connect_timeout": "PGCONNECT_TIMEOUT", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
	"sslcrl": "PGSSLCRL", "sslsni": "PGSSLSNI", "sslnegotiation": "PGSSLNEGOTIATION", "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
	"ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION", "channel_binding": "PGCHANNELBINDING", "require_auth": "PGREQUIREAUTH",
}

// Parse reads a libpq URL (postgres://… or postgresql://…) or a libpq DSN (key=value …). What s leaves out comes from libpq's variables
// (PGHOST, PGSSLMODE, …), then from defaults: localhost, 5432, the operating system's user, 10 s. No error contains a password or a value
// that could be a piece of one.
func Parse(s string) (Upstream, error) {
	keys, err := keysOf(s)
	if err != nil {
		return Upstream{}, err
	}
	for key, env := range environment {
		if _, given := keys[key]; !given {
			keys[key] = os.Getenv(env)
		}
	}
	return fromKeys(keys)
}

// String returns u as a URL in which the password is ***; the zero value is an empty text.
func (u Upstream) String() string {
	if u == (Upstream{}) {
		return ""
	}
	var b strings.Builder
	b.WriteString("postgres://" + escapeURL(u.User))
	if u.Password != "" {
		b.WriteString(":***")
	}
	b.WriteByte('@')
	var query []string
	add := func(key, value string) {
		query = append(query, key+"="+strings.ReplaceAll(escapeURL(value), "%2F", "/"))
	}
	if plainHost.MatchString(u.Host) {
		b.WriteString(net.JoinHostPort(u.Host, strconv.Itoa(u.Port)))
	} else {
		add("host", u.Host)
		add("port", strconv.Itoa(u.Port))
	}
	b.WriteString("/" + escapeURL(u.Database))
	if u.ConnectTimeout != defaultConnectTimeout {
		add("connect_timeout", strconv.Itoa(int(u.ConnectTimeout/time.Second)))
	}
	if u.Passfile != "" {
		add("passfile", u.Passfile)
	}
	if u.HostAddr != "" {
		add("hostaddr", u.HostAddr)
	}
	for _, k := range u.TLS.keys() {
		if k.value != "" {
			add(k.name, k.value)
		}
	}
	if len(query) > 0 {
		b.WriteString("?" + strings.Join(query, "&"))
	}
	return b.String()
}

// plainHost is a host that a URL can hold as it is; others, such as a socket's directory, go into the query.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

// escapeURL escapes every character with a meaning anywhere in a URL; a space becomes %20, as libpq reads no +.
func escapeURL(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// GoString returns String, so that no way to print an Upstream shows its password.
func (u Upstream) GoString() string { return u.String() }

// MarshalText returns String, so that no encoder shows the password.
func (u Upstream) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// keysOf returns the libpq keys that s sets.
func keysOf(s string) (map[string]string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, errors.New("is empty; give postgres://user:password@host:port/database")
	}
	for _, prefix := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			return keysOfURL(rest)
		}
	}
	return keysOfDSN(s)
}

// keysOfURL reads what follows the scheme, cut up as libpq does it: net/url refuses socket directories in the place of
// the host, and its errors repeat the password.
func keysOfURL(s string) (map[string]string, error) {
	keys := map[string]string{}
	put := func(key, text, what string) error {
		value, err := url.PathUnescape(text)
		if err != nil {
			return fmt.Errorf("%s has a %% that is not followed by two hexadecimal digits; write %% as %%25", what)
		}
		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("%s has a zero byte", what)
		}
		keys[key] = value
		return nil
	}
	var name, password string
	if i := strings.IndexAny(s, "@/"); i >= 0 && s[i] == '@' {
		name, password, _ = strings.Cut(s[:i], ":")
		s = s[i+1:]
	}
	s, query, _ := strings.Cut(s, "?")
	if strings.Contains(s, "@") {
		return nil, errors.New("has an @ after the host; in a user name or password write @ as %40, / as %2F and ? as %3F")
	}
	authority, database, _ := strings.Cut(s, "/")
	host, port, err := cutHostPort(authority)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct{ key, text, what string }{
		{"user", name, "the user"}, {"password", password, "the password"},
		{"host", host, "the host"}, {"port", port, "the port"}, {"dbname", database, "the database"},
	} {
		if f.text == "" {
			continue
		}
		if err := put(f.key, f.text, f.what); err != nil {
			return nil, err
		}
	}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, errors.New("has a parameter without =")
		}
		if key == "ssl" && value == "true" {
			key, value = "sslmode", "require"
		}
		if err := knownKey(key); err != nil {
			return nil, err
		}
		if err := put(key, value, "the value of "+key); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// cutHostPort splits the host part of a URL; an IPv6 address stands in brackets.
func cutHostPort(s string) (host, port string, err error) {
	if strings.Contains(s, ",") {
		return "", "", errors.New("names more than one host; give one upstream each")
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		host, rest, closed := strings.Cut(inner, "]")
		if !closed || (rest != "" && rest[0] != ':') {
			return "", "", errors.New("has an IPv6 address without its closing bracket")
		}
		return host, strings.TrimPrefix(rest, ":"), nil
	}
	host, port, _ = strings.Cut(s, ":")
	return host, port, nil
}

// keysOfDSN reads key=value pairs as libpq does: spaces around =, values in single quotes, backslash escapes.
func keysOfDSN(s string) (map[string]string, error) {
	keys := map[string]string{}
	last := ""
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		key, rest, ok := strings.Cut(s, "=")
		key = strings.TrimSpace(key)
		err := knownKey(key)
		if !ok || (err != nil && last == "password") || strings.ContainsAny(key, " \t\n") {
			if last != "" {
				return nil, fmt.Errorf("cannot be read after the value of %s; put a value with spaces in single quotes", last)
			}
			return nil, errors.New("is neither a URL that starts with postgres:// nor key=value pairs")
		}
		if err != nil {
			return nil, err
		}
		value, rest, err := cutValue(strings.TrimLeft(rest, " \t\r\n"))
		if err != nil {
			return nil, fmt.Errorf("the value of %s %w", key, err)
		}
		keys[key] = value
		last, s = key, rest
	}
	return keys, nil
}

// cutValue returns the value that s starts with, unquoted, and what follows it.
func cutValue(s string) (value, rest string, err error) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && c == '\'':
			return b.String(), s[i+1:], nil
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			return b.String(), s[i:], nil
		case c == 0:
			return "", "", errors.New("has a zero byte")
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errors.New("has no closing quote")
	}
	return b.String(), "", nil
}

// keyUse says what becomes of each libpq key. The ignored ones change nothing for a connection that a pool owns;
// the refused ones would, so leaving them out in silence would be wrong.
var keyUse = map[string]string{
	"host": "used", "hostaddr": "used", "port": "used", "user": "used", "password": "used", "dbname": "used",
	"connect_timeout": "used", "passfile": "used", "sslmode": "used", "gssencmode": "used", "channel_binding": "used",
	"target_session_attrs": "used", "sslcert": "used", "sslkey": "used", "sslpassword": "used", "sslrootcert": "used", "sslcrl": "used",
	"sslsni": "used", "ssl_min_protocol_version": "used", "ssl_max_protocol_version": "used", "sslnegotiation": "used", "require_auth": "used",
	"sslcertmode": "used",

	"application_name": "ignored", "fallback_application_name": "ignored", "client_encoding": "ignored",
	"keepalives": "ignored", "keepalives_idle": "ignored", "keepalives_interval": "ignored",
	"keepalives_count": "ignored", "tcp_user_timeout": "ignored", "krbsrvname": "ignored", "gsslib": "ignored",
	"gssdelegation": "ignored", "sslcompression": "ignored", "load_balance_hosts": "ignored",
	"min_protocol_version": "ignored", "max_protocol_version": "ignored",

	"options": "refused", "service": "refused", "servicefile": "refused", "replication": "refused",
	"requirepeer": "refused", "sslcrldir": "refused",
}

// plainKey is a text that can be shown as a key: it cannot be a mistyped URL with a password in it.
var plainKey = regexp.MustCompile(`^[A-Za-z_]{1,40}$`)

func knownKey(key string) error {
	switch use := keyUse[key]; {
	case use == "refused":
		return fmt.Errorf("key %s is not available for an upstream", key)
	case use != "":
		return nil
	case plainKey.MatchString(key):
		return fmt.Errorf("unknown key %s", key)
	}
	return errors.New("is neither a URL that starts with postgres:// nor key=value pairs")
}

// choice is a key with a few values: those that can be given here, and what libpq knows beside them.
type choice struct{ key, allowed, others, why string }

var choices = []choice{
	{"sslmode", "disable allow prefer require verify-ca verify-full", "", ""},
	{"gssencmode", "disable prefer", "require", ""},
	{"channel_binding", "disable prefer require", "", ""},
	{"sslnegotiation", "postgres direct", "", ""},
	{"sslcertmode", "allow", "disable require", ""},
	{"sslsni", "0 1", "", ""},
	{"ssl_min_protocol_version", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", "", ""},
	{"ssl_max_protocol_version", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", "", ""},
	{"target_session_attrs", "any", "read-write read-only primary standby prefer-standby", ""},
}

// plainValue is a text that can be shown as a value: a word, not a secret in the wrong place.
var plainValue = regexp.MustCompile(`^([A-Za-z-]{1,20}|TLSv[0-9.]{1,4})$`)

// check refuses a value that cannot be given; empty is absent.
func (c choice) check(v string) error {
	allowed := strings.Fields(c.allowed)
	switch {
	case v == "" || slices.Contains(allowed, v):
		return nil
	case slices.Contains(strings.Fields(c.others), v):
		return fmt.Errorf("%s asks for more than can be given: %suse %s", c.key, c.why, strings.Join(allowed, ", "))
	}
	named := "has a value"
	if plainValue.MatchString(v) {
		named = strconv.Quote(v) + " is one"
	}
	return fmt.Errorf("%s %s that PostgreSQL does not know; use %s", c.key, named, strings.Join(allowed, ", "))
}

// fromKeys checks the keys and joins them; an empty value is an absent one, as in libpq.
func fromKeys(keys map[string]string) (Upstream, error) {
	for _, c := range choices {
		if err := c.check(keys[c.key]); err != nil {
			return Upstream{}, err
		}
	}
	u := Upstream{
		Host: keys["host"], Port: 5432, Database: keys["dbname"], User: keys["user"], Password: keys["password"],
		ConnectTimeout: defaultConnectTimeout, Passfile: keys["passfile"], HostAddr: keys["hostaddr"],
	}
	var err error
	if u.TLS, err = securityOf(keys); err != nil {
		return Upstream{}, err
	}
	if u.HostAddr != "" && net.ParseIP(u.HostAddr) == nil {
		return Upstream{}, errors.New("hostaddr is not an IP address")
	}
	if u.Host == "" {
		u.Host, u.HostAddr = u.HostAddr, ""
	}
	if strings.ContainsAny(u.Host, ",") || strings.ContainsAny(keys["port"], ",") {
		return Upstream{}, errors.New("names more than one host; give one upstream each")
	}
	if u.Host == "" {
		u.Host = "localhost"
	}
	if p := keys["port"]; p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 65535 {
			return Upstream{}, errors.New("port is not a number from 1 to 65535; " +
				"in a password write : as %3A, @ as %40 and / as %2F")
		}
		u.Port = n
	}
	if t := keys["connect_timeout"]; t != "" {
		n, err := strconv.ParseInt(t, 10, 32)
		if err != nil {
			return Upstream{}, errors.New("connect_timeout is not a whole number of seconds")
		}
		if n > 0 { // libpq waits for ever at 0 and below; every wait has a bound here, so these mean the default
			u.ConnectTimeout = time.Duration(n) * time.Second
		}
	}
	if u.User == "" {
		me, err := user.Current()
		if err != nil {
			return Upstream{}, errors.New("names no user, and the operating system's user has no name")
		}
		u.User = me.Username
	}
	return u, nil
}
