//go:build pg

package upstream_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// TestServicesAreLibpqs: whatever stands in which file, the guard logs in as psql does, or says what is wrong where psql fails.
func TestServicesAreLibpqs(t *testing.T) {
	f := newFiles(t)
	c := pgtest.New(t, pgtest.Options{})
	f.do(c, "create role one login", "create role two login", "create role three login")
	where := fmt.Sprintf("host=%s\nport=%d\ndbname=postgres\n", c.Host(), c.Port())
	f.write(".pg_service.conf", []byte("# comment\n\n[both]\n"+where+"user=one\nuser=two\n\n [own] trailing\n"+where+"  user=two  \n[own]\nuser=three\n"+
		"[syntax]\nuser\n[unknown]\nusr=hunter2\n[spaced]\nuser = hunter2\n[nested]\nservice=own\n[odd=name]\n"+where+"user=three\n[refused]\n"+where+"user=one\nsslmode=bogus\n"))
	f.write("pg_service.conf", []byte("[both]\n"+where+"user=three\n[system]\n"+where+"user=three\n"))
	named := f.write("named.conf", []byte("[named]\n"+where+"user=one\n"))
	for _, x := range []struct{ env, dsn, want string }{ // want begins with ! where it is a fault
		{"", "service=both", "one"},
		{"", "service=own", "two"},
		{"", "service=own user=three", "three"},
		{"PGUSER=three", "service=own", "two"},
		{"PGSERVICE=own", "dbname=template1", "two"},
		{"PGSERVICE=own", "service=both", "one"},
		{"PGSYSCONFDIR=" + f.dir, "service=system", "three"},
		{"PGSYSCONFDIR=" + f.dir, "service=both", "one"},
		{"PGSERVICEFILE=" + named, "service=named", "one"},
		{"PGSERVICEFILE=" + named, "service=own", "!no service of that name in " + named + " nor in"},
		{"PGSERVICEFILE=" + named + " PGSYSCONFDIR=" + f.dir, "service=system", "three"},
		{"PGSERVICEFILE=" + f.dir + "/missing", "service=own", "!missing: no such file"},
		{"PGSYSCONFDIR=" + f.dir, "service=gone", "!no service of that name"},
		{"", "service=syntax", "!.pg_service.conf, line "},
		{"", "service=unknown", "!unknown key usr"},
		{"", "service=spaced", "!with no space before the ="},
		{"", "service=nested", "!cannot refer to another"},
		{"", "service=refused", "!sslmode (from service refused in "},
		{"", "service='odd=name'", "three"},
		{"", "postgres:///?service=own", "two"},
		{"", "postgres://three@/?service=own", "three"},
	} {
		t.Run(x.env+" "+x.dsn, func(t *testing.T) {
			for pair := range strings.FieldsSeq(x.env) {
				name, text, _ := strings.Cut(pair, "=")
				t.Setenv(name, text)
			}
			dsn := x.dsn
			out, psql := exec.CommandContext(t.Context(), "psql", "-XAtw", dsn, "-c", "select current_user || ' ' || current_database()").CombinedOutput()
			got, err := "", error(nil)
			up, err := upstream.Parse(dsn)
			if err == nil {
				got, err = up.User+" "+up.Database, loggedIn(t.Context(), up)
			}
			if fault, bad := strings.CutPrefix(x.want, "!"); bad {
				if psql == nil || err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("guard %v, want %q; psql %v", err, fault, psql)
				}
				return
			}
			if err != nil || psql != nil || got != strings.TrimSpace(string(out)) || !strings.HasPrefix(got, x.want+" ") {
				t.Errorf("guard %q, %v, want %q; psql %s", got, err, x.want, out)
			}
		})
	}
}

// loggedIn logs in once.
func loggedIn(ctx context.Context, up upstream.Upstream) error {
	h := upstream.Handshake{User: up.User, Params: map[string]string{"user": up.User, "database": up.Database}}
	if err := upstream.NewDoor(up).LogIn(ctx, &h); err != nil {
		return err
	}
	return h.Conn.Close()
}
