package upstream

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestEveryKeyOfLibpqHasARule: no key or variable of libpq's, of any version, is unknown here, nor is one of ours unknown to libpq.
func TestEveryKeyOfLibpqHasARule(t *testing.T) {
	text, err := os.ReadFile("testdata/libpq.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] == "#" {
			continue
		}
		known[f[0]] = true
		r := ruleOf(f[0])
		if r == nil {
			t.Errorf("%s has no rule", f[0])
			continue
		}
		if env := strings.TrimPrefix(f[1], "-"); env != r.env && !slices.ContainsFunc(rules, func(r rule) bool { return r.key == "" && r.env == env }) {
			t.Errorf("%s has the variable %q, not %q", f[0], r.env, env)
		}
	}
	for _, r := range rules {
		if r.key != "" && !known[r.key] {
			t.Errorf("libpq does not know %s", r.key)
		}
		if r.treatment != taken && r.why == "" {
			t.Errorf("%s%s is not taken, and nobody is told why", r.key, r.env)
		}
	}
}

// libpqEnv leaves none of libpq's variables set.
func libpqEnv(t *testing.T) {
	t.Helper()
	for _, name := range os.Environ() {
		if name, _, _ = strings.Cut(name, "="); strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "PGGUARD") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
}

// TestNothingIsIgnoredInSilence: whatever key is given, in the upstream or by its variable, it changes the upstream, is refused, or is said to
// change nothing. The fault or the sentence names the key and where it stood.
func TestNothingIsIgnoredInSilence(t *testing.T) {
	const base = "host=db user=app sslmode=require"
	libpqEnv(t)
	plain, err := Read(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		texts := strings.Fields(r.words + " " + r.others)
		if r.words == "" {
			texts = map[string][]string{
				"hostaddr": {"10.0.0.1"}, "port": {"5433"}, "connect_timeout": {"3"}, "keepalives": {"0"}, "keepalives_idle": {"7"}, "keepalives_interval": {"7"},
				"keepalives_count": {"7"}, "tcp_user_timeout": {"7"}, "require_auth": {"md5"}, "sslcompression": {"1"}, "sslkey": {"k"},
			}[r.key]
			if texts == nil {
				texts = []string{"other"}
			}
		}
		heard := false
		for _, text := range texts {
			for _, way := range []string{"in the upstream", r.env} {
				t.Run(r.key+r.env+"="+text+" "+way, func(t *testing.T) {
					libpqEnv(t)
					home := t.TempDir()
					t.Setenv("HOME", home)
					if err := os.WriteFile(filepath.Join(home, ".pg_service.conf"), []byte("[other]\nport=5433\n"), 0o600); err != nil {
						t.Fatal(err)
					}
					dsn := strings.Join(slices.DeleteFunc(strings.Fields(base), func(s string) bool { return strings.HasPrefix(s, r.key+"=") }), " ")
					where := r.key
					switch {
					case way == "in the upstream" && r.key == "", way == "":
						return
					case way == "in the upstream":
						dsn += " " + r.key + "=" + text
					default:
						where = r.env
						t.Setenv(r.env, text)
					}
					if r.key == "sslkey" {
						dsn += " sslcert=c"
					}
					g, err := Read(dsn)
					switch {
					case err != nil && !strings.Contains(err.Error(), where):
						t.Errorf("%s: %v", dsn, err)
					case err != nil && r.treatment == taken && r.words == "":
						t.Errorf("%s: %v", dsn, err)
					case err == nil && r.treatment == refused:
						t.Errorf("%s is taken", dsn)
					case err == nil && r.treatment == unused && (len(g.Unused) != 1 || !strings.Contains(g.Unused[0], where)):
						t.Errorf("%s: said to change nothing: %q", dsn, g.Unused)
					case err == nil && r.treatment == taken && len(g.Unused) > 0:
						t.Errorf("%s: %q", dsn, g.Unused)
					}
					heard = heard || err != nil || len(g.Unused) > 0 || !reflect.DeepEqual(g.Upstream, plain.Upstream)
				})
			}
		}
		if !heard {
			t.Errorf("%s%s changes nothing, and nobody is told", r.key, r.env)
		}
	}
}

// TestConflictsNameBothKeys: keys that cannot stand together are refused by libpq's rules, wherever each comes from.
func TestConflictsNameBothKeys(t *testing.T) {
	for _, x := range []struct{ env, dsn, want string }{
		{"", "host=db sslrootcert=system sslmode=verify-ca", "sslrootcert=system needs sslmode=verify-full, not sslmode=verify-ca"},
		{"PGSSLROOTCERT=system", "host=db sslmode=require", "sslrootcert=system (from PGSSLROOTCERT) needs sslmode=verify-full, not sslmode=require"},
		{"PGSSLMODE=prefer", "host=db sslrootcert=system", "sslrootcert=system needs sslmode=verify-full, not sslmode=prefer (from PGSSLMODE)"},
		{"PGREQUIRESSL=1", "host=db sslrootcert=system", "not sslmode=require (from PGREQUIRESSL)"},
		{"PGSSLNEGOTIATION=direct", "host=db sslmode=prefer", "sslnegotiation=direct (from PGSSLNEGOTIATION) needs sslmode=require, verify-ca or verify-full, not sslmode=prefer"},
		{"PGSSLNEGOTIATION=direct", "host=db", "not the default prefer"},
		{"PGCHANNELBINDING=require", "host=db sslmode=disable", "channel_binding=require (from PGCHANNELBINDING) needs TLS, which sslmode=disable rules out"},
		{"", "host=/tmp channel_binding=require", "channel_binding=require needs TLS, which there is none of on a unix socket"},
		{"", "host=db sslmode=disable sslcertmode=require", "sslcertmode=require needs TLS"},
		{"", "host=/tmp sslcertmode=require", "sslcertmode=require needs TLS"},
		{"PGSSLMAXPROTOCOLVERSION=TLSv1.1", "host=db", "the default ssl_min_protocol_version, TLSv1.2, is above ssl_max_protocol_version (from PGSSLMAXPROTOCOLVERSION)"},
		{"PGMINPROTOCOLVERSION=latest", "host=db max_protocol_version=3.0", "min_protocol_version=latest (from PGMINPROTOCOLVERSION) is above max_protocol_version=3.0"},
		{"", "host=db require_auth=md5,md5", "require_auth has md5 twice"},
		{"PGSSLMODE=bogus", "host=db", `sslmode (from PGSSLMODE) "bogus" is one that PostgreSQL does not know`},
		{"PGPORT=x", "host=db", "port (from PGPORT) is not a number"},
		{"", "host=a,b hostaddr=10.0.0.1", "host names 2 hosts, and hostaddr one address"},
		{"PGHOST=a,b", "hostaddr=10.0.0.1", "host (from PGHOST) names 2 hosts, and hostaddr one address"},
		{"PGHOST=a", "hostaddr=10.0.0.1,10.0.0.2", "host (from PGHOST) names one host, and hostaddr 2 addresses"},
		{"", "host=a,b,c port=1,2", "port has 2 ports for 3 hosts"},
		{"PGPORT=1,2", "host=a", "port (from PGPORT) has 2 ports for one host"},
		{"", "hostaddr=10.0.0.1,10.0.0.2 port=1,2,3", "port has 3 ports for 2 hosts"},
		{"PGHOSTADDR=x", "host=db", "hostaddr (from PGHOSTADDR) is not an IP address"},
		{"PGCONNECT_TIMEOUT=x", "host=db", "connect_timeout (from PGCONNECT_TIMEOUT) is not a whole number"},
		{"", "host=db keepalives_idle=x", "keepalives_idle is not a whole number"},
		{"PGGSSENCMODE=require", "host=db", "gssencmode (from PGGSSENCMODE): require is not available: pgguard does not log in by GSSAPI; use disable, prefer"},
	} {
		t.Run(x.env+" "+x.dsn, func(t *testing.T) {
			libpqEnv(t)
			t.Setenv("HOME", t.TempDir())
			if name, text, ok := strings.Cut(x.env, "="); ok {
				t.Setenv(name, text)
			}
			if _, err := Parse(x.dsn); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v; want %q", err, x.want)
			}
		})
	}
}

// TestKeysAreReadBack: what an upstream is printed as has every key that it was given.
func TestKeysAreReadBack(t *testing.T) {
	libpqEnv(t)
	const text = "postgres://app@db:5432/?sslmode=require&sslcertmode=disable&sslcrldir=/lists&ssl_min_protocol_version=tlsv1.3" +
		"&requirepeer=postgres&keepalives_idle=1&keepalives_interval=2&keepalives_count=3&tcp_user_timeout=4&min_protocol_version=3.0&max_protocol_version=latest"
	u, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := u.String(), strings.ReplaceAll(text, "tlsv", "TLSv"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if u, err = Parse("host=db keepalives=0"); err != nil || !strings.HasSuffix(u.String(), "?keepalives=0") {
		t.Errorf("%s, %v", u, err)
	}
}

// TestKeysAreDocumented: DESIGN.md's table has each key in the row of what becomes of it.
func TestKeysAreDocumented(t *testing.T) {
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[treatment][]string{}
	for _, r := range rules {
		name := r.key
		if name == "" {
			name = r.env
		}
		want[r.treatment] = append(want[r.treatment], name)
	}
	for begin, of := range map[string]treatment{"| taken, ": taken, "| not used, ": unused, "| refused ": refused} {
		_, rest, _ := strings.Cut(string(text), "\n"+begin)
		_, cell, _ := strings.Cut(rest, "| ")
		cell, _, _ = strings.Cut(cell, " |")
		got := strings.Split(cell, ", ")
		slices.Sort(got)
		slices.Sort(want[of])
		if !slices.Equal(got, want[of]) {
			t.Errorf("%s\n got %q\nwant %q", begin, got, want[of])
		}
	}
}
