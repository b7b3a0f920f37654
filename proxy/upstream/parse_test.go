package upstream

import (
	"encoding/json"
	"fmt"
	"os/user"
	"reflect"
	"strings"
	"testing"
	"time"
)

// clearLibpqEnv makes the test independent of who runs it.
func clearLibpqEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGCONNECT_TIMEOUT", "PGSSLMODE",
	} {
		t.Setenv(name, "")
	}
}

func TestParseReadsURLsAndDSNs(t *testing.T) {
	clearLibpqEnv(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	const ten = 10 * time.Second
	for in, want := range map[string]Upstream{
		"postgres://app:secret@db:5433/shop":                    {Host: "db", Port: 5433, Database: "shop", User: "app", Password: "secret", ConnectTimeout: ten},
		"postgresql://app@db":                                   {Host: "db", Port: 5432, User: "app", ConnectTimeout: ten},
		"postgres://":                                           {Host: "localhost", Port: 5432, User: me.Username, ConnectTimeout: ten},
		"postgres://a%40b:p%2Fw%3A%25%3F@db/my%20d":             {Host: "db", Port: 5432, Database: "my d", User: "a@b", Password: "p/w:%?", ConnectTimeout: ten},
		"postgres://app:a:b?c@db/d":                             {Host: "db", Port: 5432, Database: "d", User: "app", Password: "a:b?c", ConnectTimeout: ten},
		"postgres://app@[::1]:5433/d":                           {Host: "::1", Port: 5433, Database: "d", User: "app", ConnectTimeout: ten},
		"postgres://app@/d?host=/var/run/postgresql&port=5433":  {Host: "/var/run/postgresql", Port: 5433, Database: "d", User: "app", ConnectTimeout: ten},
		"postgres://app@%2Fvar%2Frun%2Fpostgresql/d":            {Host: "/var/run/postgresql", Port: 5432, Database: "d", User: "app", ConnectTimeout: ten},
		"postgres://app@db/d?connect_timeout=3&sslmode=prefer":  {Host: "db", Port: 5432, Database: "d", User: "app", ConnectTimeout: 3 * time.Second, TLS: Security{Mode: "prefer"}},
		"postgres://db/d?user=app&password=a%20b&keepalives=1":  {Host: "db", Port: 5432, Database: "d", User: "app", Password: "a b", ConnectTimeout: ten},
		"postgres://app@db/d?connect_timeout=0&passfile=/etc/p": {Host: "db", Port: 5432, Database: "d", User: "app", ConnectTimeout: ten, Passfile: "/etc/p"},

		"host=db port=5433 user=app password=secret dbname=shop":                 {Host: "db", Port: 5433, Database: "shop", User: "app", Password: "secret", ConnectTimeout: ten},
		" host = db  user = app\tpassword = 'it\\'s a \\\\ word' dbname = '' \n": {Host: "db", Port: 5432, User: "app", Password: `it's a \ word`, ConnectTimeout: ten},
		"host=db hostaddr=10.0.0.1 user=app application_name=x sslmode=disable":  {Host: "db", HostAddr: "10.0.0.1", Port: 5432, User: "app", ConnectTimeout: ten, TLS: Security{Mode: "disable"}},
		"hostaddr=10.0.0.1 user=app sslmode=verify-full sslrootcert=/ca sslcert=/c sslkey=/k sslpassword=p sslcrl=/l sslsni=0 ssl_min_protocol_version=TLSv1.3 channel_binding=require require_auth=scram-sha-256 sslnegotiation=direct": {
			Host: "10.0.0.1", Port: 5432, User: "app", ConnectTimeout: ten, TLS: Security{
				Mode: "verify-full", RootCert: "/ca", Cert: "/c", Key: "/k", KeyPassword: "p", CRL: "/l", NoName: true, MinVersion: "TLSv1.3",
				Binding: "require", Methods: "scram-sha-256", Negotiation: "direct",
			},
		},
		"postgres://app@a:1,b,[::1]:3/?target_session_attrs=primary&load_balance_hosts=random": {
			Host: "a", Port: 1, More: []Place{{"b", "", 5432}, {"::1", "", 3}}, User: "app", ConnectTimeout: ten, Session: "primary", Shuffle: true,
		},
		"postgres://app@a,b/?port=7":                           {Host: "a", Port: 7, More: []Place{{"b", "", 7}}, User: "app", ConnectTimeout: ten},
		"host=a,,/tmp hostaddr=10.0.0.1,,  port=5433 user=app": {Host: "a", HostAddr: "10.0.0.1", Port: 5433, More: []Place{{"localhost", "", 5433}, {"/tmp", "", 5433}}, User: "app", ConnectTimeout: ten},
		"hostaddr=10.0.0.1,10.0.0.2 port=1, user=app":          {Host: "10.0.0.1", Port: 1, More: []Place{{"10.0.0.2", "", 5432}}, User: "app", ConnectTimeout: ten},
		"user=app password=a\\ b host=/tmp":                    {Host: "/tmp", Port: 5432, User: "app", Password: "a b", ConnectTimeout: ten},
	} {
		got, err := Parse(in)
		if err != nil {
			t.Errorf("Parse(%q): %v", in, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q)\n got %s (password %q)\nwant %s (password %q)", in, got, got.Password, want, want.Password)
		}
	}
}

func TestParseTakesWhatIsMissingFromTheEnvironment(t *testing.T) {
	clearLibpqEnv(t)
	for name, value := range map[string]string{
		"PGHOST": "envhost", "PGPORT": "6000", "PGUSER": "envuser", "PGPASSWORD": "envsecret",
		"PGPASSFILE": "/env/pass", "PGCONNECT_TIMEOUT": "7",
	} {
		t.Setenv(name, value)
	}
	got, err := Parse("dbname=d user=app")
	want := Upstream{
		Host: "envhost", Port: 6000, Database: "d", User: "app", Password: "envsecret",
		ConnectTimeout: 7 * time.Second, Passfile: "/env/pass",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %s %q, %v; want %s", got, got.Password, err, want)
	}
	t.Setenv("PGSSLMODE", "verify-full")
	if got, err := Parse("dbname=d"); err != nil || got.TLS.Mode != "verify-full" {
		t.Errorf("PGSSLMODE=verify-full: got %s, %v", got, err)
	}
}

func TestParseNamesTheFaultAndNeverThePassword(t *testing.T) {
	clearLibpqEnv(t)
	for in, want := range map[string]string{
		"": "is empty",
		"host=db sslrootcert=system sslmode=require":                                "sslrootcert=system needs sslmode=verify-full, not sslmode=require",
		"host=db sslnegotiation=direct":                                             "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full, not the default prefer",
		"host=db ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2": "ssl_min_protocol_version is above ssl_max_protocol_version",
		"host=db ssl_min_protocol_version=TLSv2":                                    `ssl_min_protocol_version "TLSv2" is one that PostgreSQL does not know; use TLSv1, TLSv1.1, TLSv1.2, TLSv1.3`,
		"host=db require_auth=hunter2":                                              "require_auth is a list of password, md5, gss, sspi, scram-sha-256, oauth, none",
		"host=db require_auth=md5,!password":                                        "all of them have a ! before, or none",
		"host=db sslkey=/k":                                                         "sslkey is given without sslcert",
		"host=db sslmode=disable channel_binding=require":                           "which sslmode=disable rules out",
		"postgres://app:hunter2@db/d?sslmode=bogus":                                 `sslmode "bogus" is one that PostgreSQL does not know; use disable, allow, prefer, require, verify-ca, verify-full`,
		"host=db sslmode=PREFER":                                                    `sslmode "PREFER" is one that PostgreSQL does not know`,
		"host=db sslmode=hunter2":                                                   "sslmode has a value that PostgreSQL does not know",
		"host=db gssencmode=no":                                                     `gssencmode "no" is one that PostgreSQL does not know; use disable, prefer`,
		"host=db target_session_attrs=bogus":                                        `target_session_attrs "bogus" is one`,
		"postgres://app:hunter2@db/d?pool=5":                                        "unknown key pool: it is none of libpq's; what a driver or a framework reads belongs into the application's URL only",
		"postgres://app:hunter2@db/d?options=-cfoo=1":                               "options is not available for an upstream: settings are",
		"postgres://app:hunter2@db:99999/d":                                         "port is not a number",
		"postgres://app:hunter2@[::1/d":                                             "closing bracket",
		"postgres://app:hunter2@[]/d":                                               "nothing between brackets",
		"postgres://app:hunter2@db,[]:5433/d":                                       "nothing between brackets",
		"postgres://app:hunter2%zz@db/d":                                            "the password has a %",
		"postgres://app:hunter2%00@db/d":                                            "zero byte",
		"postgres://app:hunter2/x@db/d":                                             "has an @ after the host",
		"postgres://app:hunter2/x":                                                  "port is not a number",
		"postgres://app@db/d?connect_timeout=hunter2":                               "connect_timeout is not a whole number",
		"postgres://app@db/d?hunter2":                                               "parameter without =",
		"postgres://app:x@db/d?password=x&hunter2%=1":                               "neither a URL",
		"mysql://app:hunter2@db/d":                                                  "neither a URL",
		"mysql://app:hunter2@db/d?sslmode=disable":                                  "neither a URL",
		"host=db password=correct hunter2 dbname=d":                                 "after the value of password",
		"host=db password=correct hunter=2":                                         "after the value of password",
		"host=db password='hunter2":                                                 "the value of password has no closing quote",
		"host=db pasword=hunter2":                                                   "unknown key pasword",
		"host=db port=hunter2":                                                      "port is not a number",
		"hostaddr=hunter2":                                                          "hostaddr is not an IP address",
		"host=db service=hunter2":                                                   "service: there is no service of that name in",
	} {
		_, err := Parse(in)
		if err == nil {
			t.Errorf("Parse(%q): no error", in)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): %q does not say %q", in, err, want)
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("Parse(%q): %q shows the password", in, err)
		}
	}
}

func TestUpstreamIsNeverPrintedWithItsPassword(t *testing.T) {
	clearLibpqEnv(t)
	u := Upstream{
		Host: "db", Port: 5432, Database: "shop", User: "app", Password: "hunter2",
		ConnectTimeout: 3 * time.Second, Passfile: "/etc/p",
	}
	asJSON, err := json.Marshal(map[string]any{"u": u})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		u.String(), fmt.Sprint(u), fmt.Sprintf("%+v", u), fmt.Sprintf("%#v", u), string(asJSON),
		fmt.Sprintf("%+v", struct{ U Upstream }{u}),
	} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "app:***@db:5432/shop") {
			t.Errorf("printed as %s", text)
		}
	}
	u.Password = ""
	for _, want := range []Upstream{u, {Host: "/tmp", Port: 5433, User: "a b", Database: "x?y", ConnectTimeout: defaultConnectTimeout}} {
		if got, err := Parse(want.String()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read back as %s, %v", want, got, err)
		}
	}
	if got := (Upstream{}).String(); got != "" {
		t.Errorf("the zero value is printed as %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"postgres://app:secret@db:5433/shop?sslmode=prefer", "host=db password='a b' port=5433", "postgres://[::1]:1/x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Parse(s)
		if err != nil {
			return
		}
		if u.Port < 1 || u.Port > 65535 || u.Host == "" || u.ConnectTimeout <= 0 {
			t.Fatalf("Parse(%q) = %#v", s, u)
		}
		u.Password = ""
		if back, err := Parse(u.String()); err != nil || !reflect.DeepEqual(back, u) {
			t.Fatalf("%q is printed as %q, read back as %q, %v", s, u, back, err)
		}
	})
}
