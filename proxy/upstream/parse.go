package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
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

// Parse reads a libpq URL (postgres://… or postgresql://…) or a libpq DSN (key=value …). What s leaves out comes from the service that
// it or PGSERVICE names, then from libpq's variables (PGHOST, PGSSLMODE, …), then from defaults: localhost, 5432, the operating system's user, 10 s. No error contains a password or a value
// that could be a piece of one.
func Parse(s string) (Upstream, error) {
	g, err := Read(s)
	return g.Upstream, err
}

// Given is an upstream as somebody gave it.
type Given struct {
	Upstream
	Unused []string // sentences about what was given and changes nothing
}

// Read is Parse, and says what is not used.
func Read(s string) (Given, error) {
	keys, err := keysOf(s)
	if err != nil {
		return Given{}, err
	}
	v := values{}
	for key, text := range keys {
		v[key] = value{text: text}
	}
	if err := v.serve(); err != nil {
		return Given{}, err
	}
	v.complete()
	u, err := v.join()
	if err != nil {
		return Given{}, err
	}
	return Given{u, v.notUsed()}, nil
}

// String returns u as a URL in which the password is ***; the zero value is an empty text.
func (u Upstream) String() string {
	if u.Host == "" {
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
	hosts, addrs, ports, plain := []string{}, []string{}, []string{}, true
	var authority []string
	for _, p := range u.Places() {
		port := strconv.Itoa(p.Port)
		hosts, addrs, ports = append(hosts, p.Host), append(addrs, p.HostAddr), append(ports, port)
		authority = append(authority, net.JoinHostPort(p.Host, port))
		plain = plain && plainHost.MatchString(p.Host)
	}
	if plain {
		b.WriteString(strings.Join(authority, ","))
	} else {
		add("host", strings.Join(hosts, ","))
		add("port", strings.Join(ports, ","))
	}
	b.WriteString("/" + escapeURL(u.Database))
	if u.ConnectTimeout != defaultConnectTimeout {
		add("connect_timeout", strconv.Itoa(int(u.ConnectTimeout/time.Second)))
	}
	if u.Passfile != "" {
		add("passfile", u.Passfile)
	}
	if list := strings.Join(addrs, ","); strings.Trim(list, ",") != "" {
		add("hostaddr", list)
	}
	if u.Session != "" {
		add("target_session_attrs", u.Session)
	}
	if u.Shuffle {
		add("load_balance_hosts", "random")
	}
	for _, k := range slices.Concat(u.TLS.keys(), u.Socket.keys(), u.Protocol.keys()) {
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
	host, port, err := cutHosts(authority)
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

// cutHosts splits the hosts of a URL into those of their names and those of their ports. An IPv6 address stands in brackets.
func cutHosts(s string) (hosts, ports string, err error) {
	for i, one := range strings.Split(s, ",") {
		var host, port string
		if inner, ok := strings.CutPrefix(one, "["); ok {
			rest, closed := "", false
			host, rest, closed = strings.Cut(inner, "]")
			if !closed || (rest != "" && rest[0] != ':') {
				return "", "", errors.New("has an IPv6 address without its closing bracket")
			}
			if host == "" {
				return "", "", errors.New("has nothing between brackets, where an IPv6 address belongs, such as [::1]")
			}
			port = strings.TrimPrefix(rest, ":")
		} else {
			host, port, _ = strings.Cut(one, ":")
		}
		if i > 0 {
			hosts, ports = hosts+",", ports+","
		}
		hosts, ports = hosts+host, ports+port
	}
	return hosts, ports, nil
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

// join checks the values and makes an upstream of them; an empty value is an absent one, as in libpq.
func (v values) join() (u Upstream, err error) {
	if err := v.check(); err != nil {
		return Upstream{}, err
	}
	u = Upstream{
		Database: v.text("dbname"), User: v.text("user"), Password: v.text("password"), ConnectTimeout: defaultConnectTimeout,
		Passfile: v.text("passfile"), Session: v.text("target_session_attrs"), Shuffle: v.text("load_balance_hosts") == "random",
	}
	if err := v.places(&u); err != nil {
		return Upstream{}, err
	}
	if u.TLS, err = v.security(u.local()); err != nil {
		return Upstream{}, err
	}
	if u.Socket, err = v.socket(); err != nil {
		return Upstream{}, err
	}
	if u.Protocol, err = v.protocol(); err != nil {
		return Upstream{}, err
	}
	n, ok, err := v.number("connect_timeout")
	switch {
	case err != nil:
		return Upstream{}, fmt.Errorf("%w of seconds", err)
	case ok && n > 0: // libpq waits for ever at 0 and below; every wait has a bound here, so these mean the default
		u.ConnectTimeout = time.Duration(n) * time.Second
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
