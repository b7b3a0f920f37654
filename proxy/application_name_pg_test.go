//go:build pg

package proxy

import (
	"strings"
	"testing"
)

// What clients are called is what they call themselves, on whatever server.
func TestApplicationNameIsTheClients(t *testing.T) {
	g := narrow(t, 1, nil)
	const seen = "select application_name from pg_stat_activity where pid = pg_backend_pid()"
	rename := queries(
		"show application_name", seen, "set application_name = 'other'", "show application_name", "begin", seen,
		"set local application_name = 'here'", "show application_name", "commit", "show application_name",
		"reset application_name", "show application_name", seen,
		"set application_name = 'other'", "begin", "reset application_name", "show application_name", seen, "rollback", "show application_name",
		"begin", "reset all", "show application_name", "commit", seen,
		"set application_name to default", "show application_name",
		"set application_name = ''", "show application_name", "discard all", "show application_name", seen,
		"set application_name = 'other'", "discard all", "show application_name",
		"begin", "savepoint a", "set application_name = 'inner'", "rollback to a", "show application_name", "nonsense", "reset all", "rollback",
		"show application_name", "select set_config('application_name', 'set', false)", seen,
		"do $$ begin perform set_config('application_name', 'done', false); end $$", "show application_name",
		"listen here", "reset application_name", "show application_name", seen, "unlisten *",
	)
	for name, params := range map[string][]string{
		"named":       {"application_name", "me"},
		"by options":  {"options", "-c application_name=by\\ options"},
		"quotes":      {"application_name", `it's "me" \ $1`},
		"bytes":       {"application_name", "grüße"},
		"long":        {"application_name", strings.Repeat("long ", 30)},
		"nameless":    nil,
		"like guards": {"application_name", "pgguard"},
	} {
		t.Run(name, func(t *testing.T) {
			other, _ := enter(t, g.addr, "application_name", "somebody else")
			others := queries("select 1", "set application_name = 'x'", "reset all")
			here, _ := enter(t, address(shared), params...)
			there, _ := enter(t, g.addr, params...)
			idle, kept := true, false
			for i, s := range rename {
				text := string(s.send[5:])
				want, got := here.play(rename[i:i+1]), there.play(rename[i:i+1])
				if strings.Join(want, "\n") != strings.Join(got, "\n") {
					t.Errorf("%s:\n got %q\nwant %q", text, got, want)
				}
				idle = got[len(got)-1] == "Z I"
				kept = strings.HasPrefix(text, "listen") || (kept && !strings.HasPrefix(text, "unlisten"))
				if idle && !kept {
					other.play(others[i%3 : i%3+1])
				}
			}
			for _, p := range []*speaker{other, here, there} {
				p.leave()
			}
		})
	}
}

// Who shares servers with clients of the same name pays nothing for it, and clients of two names do not take each other's servers while
// there are others.
func TestApplicationNameCostsNothingWhereItIsTheSame(t *testing.T) {
	g := narrow(t, 2, nil)
	g.looked(t) // else logins ask a server again what it reports
	enters := func(name string) *caller { return g.call(t, "application_name", name) }
	one, two := enters("one"), enters("two")
	for _, text := range []string{"begin; select 1", "commit"} { // one server each
		for _, c := range []*caller{one, two} {
			if a, err := c.query(text); err != nil || a.code() != "" {
				t.Fatal(err, a)
			}
		}
	}
	pid := func(c *caller) string {
		eventually(t, "both servers idle", func() bool { return g.pool().Servers["idle"] == 2 }) // the last answer may be told before its server is free
		return c.one(t, "select pg_backend_pid()")
	}
	first, second := pid(one), pid(two)
	if first == second {
		t.Fatal("both have the same server")
	}
	for range 10 {
		if a, b, c := pid(one), pid(two), pid(enters("one")); a != first || b != second || c != first {
			t.Fatalf("a client was given the server of another name: %s of %s, %s of %s, %s of %s", a, first, b, second, c, first)
		}
	}
}

// Without sync_application_name servers keep their own.
func TestApplicationNameMayStayTheServers(t *testing.T) {
	g := narrow(t, 1, func(c *Config) { c.SyncApplicationName = false })
	p := g.call(t, "application_name", "me")
	if got := p.one(t, "show application_name"); got != "pgguard" {
		t.Errorf("got %s, want pgguard", got)
	}
}
