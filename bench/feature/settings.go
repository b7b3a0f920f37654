package feature

var settings = group("settings",
	named("SET persists", func(t *trial) { keeps(t, "SET work_mem = '7MB'", "work_mem", "7MB") }),
	named("SET of a prepared statement persists", func(t *trial) {
		c := t.client()
		c.runs(parse("", "SET work_mem = '7MB'"), bind(""), execute(), syncUp())
		t.often(func() { c.shows("work_mem", "7MB") })
	}),
	named("set_config(…, false) persists", func(t *trial) {
		keeps(t, "SELECT set_config('work_mem', '7MB', false)", "work_mem", "7MB")
	}),
	named("SET in a function persists", func(t *trial) { keeps(t, "SELECT feature_set('7MB')", "work_mem", "7MB") }),
	named("SET undone by ROLLBACK", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.run("BEGIN")
			c.run("SET work_mem = '9MB'")
			c.shows("work_mem", "9MB")
			c.run("ROLLBACK")
			c.shows("work_mem", t.workMem)
		})
	}),
	named("ROLLBACK returns to an earlier SET", func(t *trial) {
		c := t.client()
		c.run("SET work_mem = '7MB'")
		t.often(func() {
			c.run("BEGIN")
			c.run("SET work_mem = '9MB'")
			c.run("ROLLBACK")
			c.shows("work_mem", "7MB")
		})
	}),
	named("SET undone by ROLLBACK TO", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.run("BEGIN")
			c.run("SAVEPOINT s")
			c.run("SET work_mem = '9MB'")
			c.run("ROLLBACK TO s")
			c.shows("work_mem", t.workMem)
			c.run("COMMIT")
			c.shows("work_mem", t.workMem)
		})
	}),
	named("SET LOCAL ends with the transaction", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.run("BEGIN")
			c.run("SET LOCAL work_mem = '9MB'")
			c.shows("work_mem", "9MB")
			c.run("COMMIT")
			c.shows("work_mem", t.workMem)
		})
	}),
	named("RESET", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.run("SET work_mem = '7MB'")
			c.run("RESET work_mem")
			c.shows("work_mem", t.workMem)
			c.run("SET work_mem = '7MB'")
			c.run("RESET ALL")
			c.shows("work_mem", t.workMem)
		})
	}),
	named("RESET returns to the startup value", func(t *trial) {
		c := t.clientWith(map[string]string{"statement_timeout": "54321"})
		t.often(func() {
			c.run("SET statement_timeout = '1h'")
			c.shows("statement_timeout", "1h")
			c.run("RESET statement_timeout")
			c.shows("statement_timeout", "54321ms")
		})
	}),
	named("search_path persists", func(t *trial) {
		c := t.client()
		c.run("SET search_path = feature_path, public")
		t.often(func() { c.is("SELECT id FROM hidden", "42") })
	}),
	named("SET ROLE persists", func(t *trial) {
		c := t.client()
		c.run("SET ROLE feature_role")
		t.often(func() {
			c.is("SELECT current_user", "feature_role")
			c.fails("SELECT * FROM feature_copy", "42501")
		})
		c.run("RESET ROLE")
		t.often(func() { c.is("SELECT current_user = session_user", "t") })
	}),
	named("SET SESSION AUTHORIZATION persists", func(t *trial) {
		c := t.client()
		c.run("SET SESSION AUTHORIZATION feature_role")
		t.often(func() { c.is("SELECT session_user", "feature_role") })
		c.run("RESET SESSION AUTHORIZATION")
		t.often(func() { c.is("SELECT session_user <> 'feature_role'", "t") })
	}),
	named("SET SESSION CHARACTERISTICS persists", func(t *trial) {
		c := t.client()
		c.run("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
		t.often(func() { c.shows("transaction_isolation", "serializable") })
	}),
	named("startup options=-c work_mem=7MB", func(t *trial) {
		c := t.clientWith(map[string]string{"options": "-c work_mem=7MB"})
		t.often(func() { c.shows("work_mem", "7MB") })
	}),
	named("startup parameter lock_timeout", func(t *trial) {
		c := t.clientWith(map[string]string{"lock_timeout": "4321"})
		t.often(func() { c.shows("lock_timeout", "4321ms") })
	}),
	named("ParameterStatus of TimeZone and client_encoding", reported),
	named("settings of DISCARD ALL", func(t *trial) {
		c := t.clientWith(map[string]string{"client_encoding": "LATIN1"})
		t.often(func() {
			c.run("SET work_mem = '7MB'")
			c.run("SET client_encoding = 'UTF8'")
			c.run("DISCARD ALL")
			c.shows("work_mem", t.workMem)
			c.shows("client_encoding", "LATIN1")
			t.same("ParameterStatus", c.reports("client_encoding"), "LATIN1")
		})
	}),
	named("no leak of SET", func(t *trial) { leaks(t, "SET work_mem = '7MB'") }),
	named("no leak from an aborted transaction", func(t *trial) {
		t.often(func() {
			failed, killed := t.client(), t.client()
			failed.run("BEGIN")
			failed.run("SET work_mem = '7MB'")
			failed.run("SET TimeZone = 'Asia/Tokyo'")
			failed.fails("SELECT 1 / 0", "22012")
			failed.run("ROLLBACK")
			killed.run("BEGIN")
			killed.run("SET work_mem = '7MB'")
			killed.kill()
			other := t.client()
			other.shows("work_mem", t.workMem)
			other.quit()
			failed.quit()
		})
	}),
	named("no leak from pg_dump's search_path", func(t *trial) {
		leaks(t, "SELECT pg_catalog.set_config('search_path', '', false)")
	}),
	named("no leak from a function's set_config", func(t *trial) { leaks(t, "SELECT feature_set('7MB')") }),
	named("no leak of SET ROLE", func(t *trial) { leaks(t, "SET ROLE feature_role") }),
)

// keeps checks that the SQL's effect is there in every later transaction of the client, and not in another.
func keeps(t *trial, sql, setting, want string) {
	c := t.client()
	c.run(sql)
	t.often(func() { c.shows(setting, want) })
}

// leaks has clients come, change their session and go, politely or not; the neighbours look out for the change.
func leaks(t *trial, sql string) {
	t.often(func() {
		polite, rude := t.client(), t.client()
		polite.run(sql)
		rude.run(sql)
		rude.run("BEGIN")
		rude.run("SELECT count(*) FROM public.feature_rows")
		polite.quit()
		rude.kill()
		other := t.client()
		other.is("SELECT count(*) FROM feature_rows", "10")
		other.shows("work_mem", t.workMem)
		other.quit()
	})
}

// reports is the newest ParameterStatus of the name.
func (c *client) reports(name string) string {
	if c.dead() {
		return ""
	}
	return c.conn.params[name]
}

// reported checks the value that the client was told, and the one that is in force, beside a client with others.
func reported(t *trial) {
	a := t.clientWith(map[string]string{"client_encoding": "LATIN1", "TimeZone": "Asia/Tokyo"})
	b := t.client()
	t.same("at login", a.reports("client_encoding")+" "+a.reports("TimeZone"), "LATIN1 Asia/Tokyo")
	b.run("SET TimeZone = 'Europe/Paris'")
	t.same("after SET", b.reports("TimeZone"), "Europe/Paris")
	b.run("BEGIN")
	b.run("SET TimeZone = 'Asia/Tokyo'")
	t.same("in the transaction", b.reports("TimeZone"), "Asia/Tokyo")
	b.run("ROLLBACK")
	t.same("after ROLLBACK", b.reports("TimeZone"), "Europe/Paris")
	t.often(func() {
		a.shows("TimeZone", "Asia/Tokyo")
		a.is("SELECT convert_to('ä', 'LATIN1')", `\xc3a4`)
		a.shows("client_encoding", "LATIN1")
		b.shows("TimeZone", "Europe/Paris")
		t.same("told a", a.reports("TimeZone"), "Asia/Tokyo")
		t.same("told b", b.reports("TimeZone"), "Europe/Paris")
	})
}
