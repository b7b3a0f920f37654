package upstream

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// treatment is what becomes of a key of libpq's.
type treatment uint8

const (
	taken   treatment = iota + 1 // it means what it means to libpq
	unused                       // it changes nothing here: who gives it is told so
	refused                      // it would change something, and cannot be given
)

// rule is what is done about one of libpq's keys.
type rule struct {
	key, env  string // env is the variable from which comes what is not given; empty: none
	treatment treatment
	why       string // it is not taken
	words     string // the values that can be given; empty: any
	others    string // those that libpq knows beside them
	anyCase   bool   // for words
}

const (
	noGSS   = "pgguard does not log in by GSSAPI"
	noOAuth = "pgguard does not log in by OAuth"
	ofEach  = "it is each client's own"
	tlsAges = "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"
)

// rules are all keys that libpq has had from 14 to 18, and its variables that set something without a key.
var rules = []rule{
	{key: "service", env: "PGSERVICE", treatment: taken},
	{key: "host", env: "PGHOST", treatment: taken},
	{key: "hostaddr", env: "PGHOSTADDR", treatment: taken},
	{key: "port", env: "PGPORT", treatment: taken},
	{key: "dbname", treatment: taken},
	{env: "PGDATABASE", treatment: unused, why: "clients name their databases, and dbname in the upstream names that of pgguard's own connection"},
	{key: "user", env: "PGUSER", treatment: taken},
	{key: "password", env: "PGPASSWORD", treatment: taken},
	{key: "passfile", env: "PGPASSFILE", treatment: taken},
	{key: "connect_timeout", env: "PGCONNECT_TIMEOUT", treatment: taken},
	{key: "target_session_attrs", env: "PGTARGETSESSIONATTRS", treatment: taken, words: "any read-write read-only primary standby prefer-standby"},
	{key: "load_balance_hosts", env: "PGLOADBALANCEHOSTS", treatment: taken, words: "disable random"},

	{key: "sslmode", env: "PGSSLMODE", treatment: taken, words: "disable allow prefer require verify-ca verify-full"},
	{key: "sslnegotiation", env: "PGSSLNEGOTIATION", treatment: taken, words: "postgres direct"},
	{key: "sslrootcert", env: "PGSSLROOTCERT", treatment: taken},
	{key: "sslcert", env: "PGSSLCERT", treatment: taken},
	{key: "sslkey", env: "PGSSLKEY", treatment: taken},
	{key: "sslpassword", treatment: taken},
	{key: "sslcertmode", env: "PGSSLCERTMODE", treatment: taken, words: "disable allow require"},
	{key: "sslcrl", env: "PGSSLCRL", treatment: taken},
	{key: "sslcrldir", env: "PGSSLCRLDIR", treatment: taken},
	{key: "sslsni", env: "PGSSLSNI", treatment: taken, words: "0 1"},
	{key: "ssl_min_protocol_version", env: "PGSSLMINPROTOCOLVERSION", treatment: taken, words: tlsAges, anyCase: true},
	{key: "ssl_max_protocol_version", env: "PGSSLMAXPROTOCOLVERSION", treatment: taken, words: tlsAges, anyCase: true},
	{key: "sslcompression", env: "PGSSLCOMPRESSION", treatment: unused, why: "nor does libpq compress what goes over TLS"},
	{key: "sslkeylogfile", treatment: refused, why: "it would have the keys of every connection in a file"},
	{key: "channel_binding", env: "PGCHANNELBINDING", treatment: taken, words: "disable prefer require"},
	{key: "require_auth", env: "PGREQUIREAUTH", treatment: taken},
	{key: "requirepeer", env: "PGREQUIREPEER", treatment: taken},
	{key: "min_protocol_version", env: "PGMINPROTOCOLVERSION", treatment: taken, words: "3.0 3.2 latest"},
	{key: "max_protocol_version", env: "PGMAXPROTOCOLVERSION", treatment: taken, words: "3.0 3.2 latest"},
	{key: "keepalives", treatment: taken},
	{key: "keepalives_idle", treatment: taken},
	{key: "keepalives_interval", treatment: taken},
	{key: "keepalives_count", treatment: taken},
	{key: "tcp_user_timeout", treatment: taken},

	{key: "options", env: "PGOPTIONS", treatment: refused, why: "settings are each client's own to give, or are set for a role or database (ALTER ROLE … SET)"},
	{key: "replication", treatment: refused, why: "who wants to replicate says so as a client"},
	{key: "gssencmode", env: "PGGSSENCMODE", treatment: taken, words: "disable prefer", others: "require", why: noGSS},
	{key: "krbsrvname", env: "PGKRBSRVNAME", treatment: refused, why: noGSS},
	{key: "gsslib", env: "PGGSSLIB", treatment: refused, why: noGSS},
	{key: "gssdelegation", env: "PGGSSDELEGATION", treatment: taken, words: "0", others: "1", why: noGSS},
	{key: "oauth_issuer", treatment: refused, why: noOAuth},
	{key: "oauth_client_id", treatment: refused, why: noOAuth},
	{key: "oauth_client_secret", treatment: refused, why: noOAuth},
	{key: "oauth_scope", treatment: refused, why: noOAuth},
	{key: "scram_client_key", treatment: refused, why: "give the password"},
	{key: "scram_server_key", treatment: refused, why: "give the password"},
	{key: "application_name", env: "PGAPPNAME", treatment: unused, why: "servers carry the names of their clients"},
	{key: "fallback_application_name", treatment: unused, why: "servers carry the names of their clients"},
	{key: "client_encoding", env: "PGCLIENTENCODING", treatment: unused, why: ofEach},
	{env: "PGDATESTYLE", treatment: unused, why: ofEach},
	{env: "PGTZ", treatment: unused, why: ofEach},
	{env: "PGGEQO", treatment: unused, why: ofEach},
}

// ruleOf is what is done about a key; nil: libpq does not know it.
func ruleOf(key string) *rule {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.key == key && key != "" })
	if i < 0 {
		return nil
	}
	return &rules[i]
}

// value is what a key was given.
type value struct {
	text string
	from string // where, for a message; empty: in the upstream itself
}

// values are those of an upstream by key.
type values map[string]value

// text is the value of a key; empty: it has none.
func (v values) text(key string) string { return v[key].text }

// name is a key, and where it was given if that is not the upstream itself.
func (v values) name(key string) string {
	if from := v[key].from; from != "" {
		return key + " (from " + from + ")"
	}
	return key
}

// pair is a key with its value, which is not a secret, and where that was given.
func (v values) pair(key string) string {
	name := v.name(key)
	return key + "=" + v.text(key) + strings.TrimPrefix(name, key)
}

// complete adds what libpq's variables say of keys that are not given.
func (v values) complete() {
	for _, r := range rules {
		if r.key == "" || r.env == "" {
			continue
		}
		if _, given := v[r.key]; given {
			continue
		}
		if text, ok := os.LookupEnv(r.env); ok {
			v[r.key] = value{text, r.env}
		}
	}
	if _, given := v["sslmode"]; !given && strings.HasPrefix(os.Getenv("PGREQUIRESSL"), "1") {
		v["sslmode"] = value{"require", "PGREQUIRESSL"}
	}
}

// check is why a key cannot be given, or not with its value; an empty one is absent.
func (v values) check() error {
	for _, r := range rules {
		if v.text(r.key) == "" {
			continue
		}
		if r.treatment == refused {
			return fmt.Errorf("%s is not available for an upstream: %s", v.name(r.key), r.why)
		}
		if err := r.checkWord(v.name(r.key), v.text(r.key)); err != nil {
			return err
		}
	}
	return nil
}

// plainValue is a text that can be shown as a value: a word, not a secret in the wrong place.
var plainValue = regexp.MustCompile(`^([A-Za-z-]{1,20}|TLSv[0-9.]{1,4}|[0-9.]{1,4})$`)

// checkWord refuses a value that cannot be given.
func (r rule) checkWord(name, text string) error {
	words, others := strings.Fields(r.words), strings.Fields(r.others)
	switch {
	case r.words == "" || slices.ContainsFunc(words, func(w string) bool { return w == text || r.anyCase && strings.EqualFold(w, text) }):
		return nil
	case slices.Contains(others, text):
		return fmt.Errorf("%s: %s is not available: %s; use %s", name, text, r.why, strings.Join(words, ", "))
	}
	named := "has a value"
	if plainValue.MatchString(text) {
		named = strconv.Quote(text) + " is one"
	}
	return fmt.Errorf("%s %s that PostgreSQL does not know; use %s", name, named, strings.Join(append(words, others...), ", "))
}

// notUsed are the keys and variables that were given and change nothing, with why.
func (v values) notUsed() (list []string) {
	for _, r := range rules {
		switch given, env := v.text(r.key) != "", os.Getenv(r.env) != ""; {
		case r.treatment != unused:
		case r.key != "" && given:
			list = append(list, fmt.Sprintf("%s is not used: %s", v.name(r.key), r.why))
		case r.key == "" && env:
			list = append(list, fmt.Sprintf("%s is not used: %s", r.env, r.why))
		}
	}
	return list
}

// number is the whole number that a key says; ok is false if it has none.
func (v values) number(key string) (n int, ok bool, err error) {
	text := strings.TrimSpace(v.text(key))
	if text == "" {
		return 0, false, nil
	}
	long, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, false, errors.New(v.name(key) + " is not a whole number")
	}
	return int(long), true, nil
}

// plainKey is a text that can be shown as a key: it cannot be a mistyped URL with a password in it.
var plainKey = regexp.MustCompile(`^[A-Za-z_]{1,40}$`)

// knownKey refuses what is no key of libpq's.
func knownKey(key string) error {
	switch {
	case ruleOf(key) != nil:
		return nil
	case plainKey.MatchString(key):
		return fmt.Errorf("unknown key %s: it is none of libpq's; what a driver or a framework reads belongs into the application's URL only", key)
	}
	return errors.New("is neither a URL that starts with postgres:// nor key=value pairs")
}
