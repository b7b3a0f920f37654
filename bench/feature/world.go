package feature

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// The world changes: somebody past the pooler changes the server, and its clients are to see what they would see directly.
var world = group("the world changes",
	named("text prepared anew after ALTER TABLE past the pooler", func(t *trial) {
		textAnew(t, change{
			before: "CREATE TABLE feature_kept (id int, t date, r real, c int)",
			sql:    "ALTER TABLE feature_kept ALTER t TYPE timestamp, ALTER r TYPE double precision, ALTER c TYPE text",
			text:   "INSERT INTO feature_kept VALUES ($1, $2, $3, $4)",
			first:  []string{"1", "2026-02-03", "0.5", "7"}, then: []string{"1", "2026-02-03 12:34:56", "0.123456789012345", "007"},
			want: "1|2026-02-03 12:34:56|0.123456789012345|007",
		})
	}),
	named("int became bigint", func(t *trial) {
		textAnew(t, change{
			before: "CREATE TABLE feature_kept (v int)", sql: "ALTER TABLE feature_kept ALTER v TYPE bigint",
			text: "INSERT INTO feature_kept VALUES ($1)", first: []string{"7"}, then: []string{"5000000000"}, want: "5000000000",
		})
	}),
	named("a type was made anew", func(t *trial) {
		textAnew(t, change{
			before: "CREATE TYPE feature_mood_type AS ENUM ('a'); CREATE TABLE feature_kept (v feature_mood_type)",
			sql: "DROP TABLE feature_kept; DROP TYPE feature_mood_type; CREATE TYPE feature_mood_type AS ENUM ('a', 'b'); " +
				"CREATE TABLE feature_kept (v feature_mood_type)",
			text: "INSERT INTO feature_kept VALUES ($1)", first: []string{"a"}, then: []string{"b"}, want: "b",
		})
	}),
	named("ALTER TABLE in a DO through the pooler, at once", func(t *trial) {
		textAnew(t, change{
			before: "CREATE TABLE feature_kept (v int)", sql: "DO $$ BEGIN EXECUTE 'ALTER TABLE feature_kept ALTER v TYPE text'; END $$",
			through: true, text: "INSERT INTO feature_kept VALUES ($1)", first: []string{"7"}, then: []string{"007"}, want: "007",
		})
	}),
	named("types of a statement with binary values after ALTER TABLE", typesKept),
	named("no leak of extra_float_digits and bytea_output by a plan", foldedSettings),
	Feature{Name: "ALTER SYSTEM SET timezone and reload, text prepared before", try: reloaded, alone: true}, // neighbours look at the zone
	named("ALTER ROLE SET: an open session stays as it is", func(t *trial) {
		o := t.outside()
		t.role(o)
		c := t.clientAs(roleName, "")
		c.shows("work_mem", t.workMem)
		o.run("ALTER ROLE " + roleName + " SET work_mem = '7MB'")
		t.wait()
		t.moved(roleName, func() { c.shows("work_mem", t.workMem) })
	}),
	named("ALTER ROLE SET: a new session sees it", func(t *trial) {
		o := t.outside()
		t.role(o)
		t.moved(roleName, func() {})
		o.run("ALTER ROLE " + roleName + " SET work_mem = '7MB'")
		t.wait()
		t.moved(roleName, func() {
			c := t.clientAs(roleName, "")
			c.shows("work_mem", "7MB")
			c.quit()
		})
	}),
	named("application_name in SHOW and pg_stat_activity", applicationName),
	named("a role made again", func(t *trial) {
		o := t.outside()
		t.role(o)
		t.moved(roleName, func() {})
		o.run("DROP OWNED BY " + roleName)
		t.role(o)
		t.wait()
		t.often(func() {
			c := t.clientAs(roleName, "")
			c.is("SELECT count(*) FROM feature_rows", "10")
			c.quit()
		})
	}),
	named("DROP DATABASE whose clients are gone, within two seconds", func(t *trial) {
		o := t.outside()
		usedDatabase(t, o)
		began := time.Now()
		o.run("DROP DATABASE " + dbName) // which itself waits five seconds for sessions to end
		t.check(time.Since(began) < 2*time.Second, "it took %v", time.Since(began).Round(time.Millisecond))
	}),
	named("DROP DATABASE through the pooler", func(t *trial) {
		usedDatabase(t, t.outside())
		t.client().run("DROP DATABASE " + dbName)
	}),
	named("CONNECTION LIMIT of a role is told in PostgreSQL's words", func(t *trial) {
		roleAtLimit(t)
		t.notLetIn(roleName, "", "53300", "too many connections for role")
	}),
	named("CONNECTION LIMIT of a role leaves others alone", func(t *trial) {
		roleAtLimit(t)
		for range rounds {
			if c, err := login(loginAs(t.cfg, roleName, ""), pgproto3.ProtocolVersion30, nil); err == nil {
				c.quit()
			}
		}
		t.often(func() {
			var all []*client
			for range Servers - 2 {
				c := t.client()
				c.run("BEGIN")
				c.run("SELECT 1")
				all = append(all, c)
			}
			for _, c := range all {
				c.run("COMMIT")
				c.quit()
			}
		})
	}),
	named("NOLOGIN is refused at login", func(t *trial) {
		o := t.outside()
		t.role(o)
		t.moved(roleName, func() {})
		o.run("ALTER ROLE " + roleName + " NOLOGIN")
		t.wait()
		t.notLetIn(roleName, "", "28000", "is not permitted to log in")
	}),
	named("REVOKE CONNECT is refused at login", func(t *trial) {
		o := t.outside()
		t.role(o)
		t.database(o)
		o.run("REVOKE CONNECT ON DATABASE " + dbName + " FROM public")
		o.run("GRANT CONNECT ON DATABASE " + dbName + " TO " + roleName)
		t.clientAs(roleName, dbName).is("SELECT 1", "1")
		o.run("REVOKE CONNECT ON DATABASE " + dbName + " FROM " + roleName)
		t.wait()
		t.notLetIn(roleName, dbName, "42501", "permission denied for database")
	}),
	named("a renamed database is refused at login", func(t *trial) {
		o := t.outside()
		usedDatabase(t, o)
		t.within(time.Second, "it cannot be renamed", func() bool {
			o.run(terminates)
			return o.try("ALTER DATABASE "+dbName+" RENAME TO "+otherName).err == nil
		})
		t.wait()
		t.notLetIn("", dbName, "3D000", "does not exist")
		t.clientAs("", otherName).is("SELECT 1", "1")
	}),
	named("servers that idle_session_timeout ended (57P05) are not met", idleEnded),
	Feature{Name: "a promotion is told to new logins within 5 s", try: promoted, alone: true, own: true},
	named("XX000 raised by one client is nobody else's", func(t *trial) {
		a, b := t.client(), t.client()
		for range 10 * rounds {
			a.fails("DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = 'XX000'; END $$", "XX000")
			b.is("SELECT 1", "1")
		}
	}),
)

// change is one of what a text means.
type change struct {
	before, sql string
	through     bool // the pooler carries it, so that there is no allowance
	text        string
	first, then []string // arguments before and after
	want        string   // what then stands in feature_kept
}

// textAnew has a text known on all servers, changes what it means, and sends it as a new client.
func textAnew(t *trial, c change) {
	o := t.outside()
	o.run(c.before)
	old := t.client()
	t.often(func() {
		old.runs(parse("", c.text), bind("", c.first...), execute(), syncUp())
		old.runs(parse("s1", c.text), bind("s1", c.first...), execute(), forget("s1"), syncUp())
	})
	by := o
	if c.through {
		by = t.client()
	}
	by.run("TRUNCATE feature_kept")
	by.run(c.sql)
	if !c.through {
		t.wait()
	}
	t.often(func() {
		fresh := t.client()
		fresh.runs(parse("", c.text), bind("", c.then...), execute(), syncUp())
		fresh.quit()
		t.same("stored", o.run("DELETE FROM feature_kept RETURNING *").text(), c.want)
	})
}

// typesKept runs a statement whose driver sends the parameter in the binary form of the type that it was told.
func typesKept(t *trial) {
	o := t.outside()
	o.run("CREATE TABLE feature_kept (v bigint)")
	c := t.client()
	c.prepare("s1", "INSERT INTO feature_kept VALUES ($1)")
	c.runs(describe("s1"), syncUp())
	seven := &pgproto3.Bind{PreparedStatement: "s1", ParameterFormatCodes: []int16{1}, Parameters: [][]byte{binary.BigEndian.AppendUint64(nil, 7)}}
	c.runs(seven, execute(), syncUp())
	o.run("ALTER TABLE feature_kept ALTER v TYPE double precision")
	t.often(func() { c.runs(seven, execute(), syncUp()) })
	o.is("SELECT DISTINCT v FROM feature_kept", "7")
}

// foldedSettings looks at what PostgreSQL computes when it plans, while another client of the same text has other settings.
func foldedSettings(t *trial) {
	const text = `SELECT (0.1::float8 + 0.2::float8)::text, '\x4142'::bytea::text`
	a, b := t.client(), t.client()
	a.prepare("s1", text)
	t.often(func() { t.same("before", a.executed("s1"), `0.30000000000000004|\x4142`) })
	b.run("SET extra_float_digits = 0")
	b.run("SET bytea_output = 'escape'")
	b.prepare("s1", text)
	t.often(func() {
		t.same("with settings", b.executed("s1"), "0.3|AB")
		t.same("without", a.executed("s1"), `0.30000000000000004|\x4142`)
	})
}

// reloaded wants what a new connection to the server reads.
func reloaded(t *trial) {
	const text = "SELECT extract(epoch FROM '2026-06-01 12:00:00'::timestamptz)::bigint"
	o := t.outside()
	t.role(o)
	old := t.clientAs(roleName, "")
	t.moved(roleName, func() { old.runs(parse("", text), bind(""), execute(), syncUp()) })
	o.run("ALTER SYSTEM SET timezone = 'Asia/Tokyo'")
	t.after = append([]string{"ALTER SYSTEM RESET timezone", "SELECT pg_reload_conf()"}, t.after...)
	o.run("SELECT pg_reload_conf()")
	t.wait()
	direct := t.clientAt(loginAs(t.server, roleName, ""), pgproto3.ProtocolVersion30, nil)
	want := direct.run(text).value()
	t.moved(roleName, func() {
		fresh := t.clientAs(roleName, "")
		t.same("told", fresh.reports("TimeZone"), "Asia/Tokyo")
		t.same("read", fresh.runs(parse("", text), bind(""), execute(), syncUp()).text(), want)
		fresh.quit()
	})
}

// applicationName is the client's, from the start-up packet and from SET, and comes back by RESET.
func applicationName(t *trial) {
	a := t.clientWith(map[string]string{"application_name": "feature a"})
	b := t.clientWith(map[string]string{"application_name": "feature b"})
	const seen = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
	t.often(func() {
		a.shows("application_name", "feature a")
		b.shows("application_name", "feature b")
		a.is(seen, "feature a")
		a.run("SET application_name = 'renamed'")
		a.is(seen, "renamed")
		b.is(seen, "feature b")
		a.run("RESET application_name")
	})
}

// usedDatabase makes the database and has clients who have left it.
func usedDatabase(t *trial, o *client) {
	t.database(o)
	for range 3 {
		c := t.clientAs("", dbName)
		c.is("SELECT current_database()", dbName)
		c.quit()
	}
}

// roleAtLimit gives the role one connection, which somebody holds past the pooler.
func roleAtLimit(t *trial) {
	o := t.outside()
	t.role(o)
	o.run("ALTER ROLE " + roleName + " CONNECTION LIMIT 1")
	t.clientAt(loginAs(t.server, roleName, ""), pgproto3.ProtocolVersion30, nil).is("SELECT 1", "1")
}

// idleEnded leaves servers idle until PostgreSQL has ended them, and comes again.
func idleEnded(t *trial) {
	if t.version < 140000 {
		return
	}
	o := t.outside()
	t.role(o)
	o.run("ALTER ROLE " + roleName + " SET idle_session_timeout = '1s'") // longer than a busy machine leaves a client alone
	for range 3 {
		t.moved(roleName, func() {})
		t.close()
		o = t.outside()
		t.within(5*time.Second, "its servers stay", func() bool {
			return o.run(fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE usename = '%s'", roleName)).value() == "0"
		})
		c := t.clientAs(roleName, "")
		c.is("SELECT 1", "1")
		c.quit()
	}
}

// promoted makes a standby of the server and a primary again, and looks at what new logins are told, on which
// target_session_attrs depends.
func promoted(t *trial) {
	t.after = append(t.after, "DO $$ BEGIN IF pg_is_in_recovery() THEN PERFORM pg_promote(); END IF; END $$")
	t.client().is("SELECT 1", "1")
	t.close()
	if err := t.own.Demote(); err != nil {
		t.fail("%v", err)
		return
	}
	told := func() string {
		c, err := login(t.cfg, pgproto3.ProtocolVersion30, nil)
		if err != nil {
			return reason(err)
		}
		defer c.quit()
		return c.params["in_hot_standby"]
	}
	var last string
	t.within(answerWait, "of the standby nobody is told", func() bool { last = told(); return last == "on" })
	t.outside().is("SELECT pg_promote()", "t")
	t.within(5*time.Second, "of the primary nobody is told", func() bool { last = told(); return last == "off" })
	t.client().run("INSERT INTO feature_multi VALUES (1)")
}
