package feature

import (
	"errors"
	"strings"
	"time"

	"pgguard/bench/load"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// allowance is how late a pooler may learn of what was changed past it: nothing tells it.
const allowance = 1500 * time.Millisecond

// The role and the databases that features make, change and drop.
const (
	roleName   = "feature_login"
	dbName     = "feature_db"
	otherName  = "feature_db_renamed"
	terminates = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + dbName + "'"
)

// outside is a client on the server itself, as its superuser: an operator past the pooler.
func (t *trial) outside() *client { return t.clientAt(t.server, pgproto3.ProtocolVersion30, nil) }

// wait is for what nothing tells a pooler.
func (t *trial) wait() {
	if t.wrong == "" {
		load.Sleep(t.ctx, allowance)
	}
}

// clientAs logs in as another user and to another database; empty is the trial's own.
func (t *trial) clientAs(user, database string) *client {
	return t.clientAt(loginAs(t.cfg, user, database), pgproto3.ProtocolVersion30, nil)
}

// loginAs is cfg with another user and database.
func loginAs(cfg *pgconn.Config, user, database string) *pgconn.Config {
	other := cfg.Copy()
	if user != "" {
		other.User = user
	}
	if database != "" {
		other.Database = database
	}
	return other
}

// notLetIn fails unless a login is refused, at once, with the code and the words of PostgreSQL.
func (t *trial) notLetIn(user, database, code, words string) {
	if t.wrong != "" {
		return
	}
	began := time.Now()
	c, err := login(loginAs(t.cfg, user, database), pgproto3.ProtocolVersion30, nil)
	if err == nil {
		c.quit()
		t.fail("it is let in")
		return
	}
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != code || !strings.Contains(pe.Message, words) {
		t.fail("login: %s, not %s %s", reason(err), code, words)
	}
	t.check(time.Since(began) < time.Second, "refused after %v", time.Since(began).Round(time.Millisecond))
}

// role makes the role anew, and has it dropped in the end.
func (t *trial) role(o *client) {
	o.run("DROP ROLE IF EXISTS " + roleName)
	o.run("CREATE ROLE " + roleName + " LOGIN")
	o.run("GRANT SELECT ON feature_rows TO " + roleName)
	t.after = append(t.after, "DROP OWNED BY "+roleName, "DROP ROLE IF EXISTS "+roleName)
}

// database makes the database anew, and has it dropped in the end.
func (t *trial) database(o *client) {
	for _, name := range []string{dbName, otherName} {
		o.run("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
		t.after = append(t.after, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
	o.run("CREATE DATABASE " + dbName)
}

// tidy puts the server back to what it was. What cannot be done is found by the next feature.
func (t *trial) tidy() {
	for _, sql := range t.after {
		after := &trial{ctx: t.ctx, cfg: t.server, server: t.server}
		after.outside().try(sql)
		after.close()
	}
}

// within repeats the step until it is true or d has passed.
func (t *trial) within(d time.Duration, what string, step func() bool) {
	for end := time.Now().Add(d); t.wrong == "" && !step(); load.Sleep(t.ctx, 10*time.Millisecond) {
		t.check(t.ctx.Err() == nil && time.Now().Before(end), "%s", what)
	}
}

// moved does the step often while two others of its user hold servers in turn.
func (t *trial) moved(user string, step func()) {
	a, b := t.clientAs(user, ""), t.clientAs(user, "")
	t.often(func() {
		a.run("BEGIN")
		a.run("SELECT 1")
		step()
		b.run("BEGIN")
		b.run("SELECT 1")
		a.run("COMMIT")
		step()
		b.run("COMMIT")
	})
}
