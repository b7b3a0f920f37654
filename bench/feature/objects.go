package feature

import "fmt"

var objects = group("session objects",
	named("session advisory lock kept and released", func(t *trial) {
		a, b := t.client(), t.client()
		t.often(func() {
			a.is("SELECT pg_try_advisory_lock(4711)", "t")
			b.is("SELECT pg_try_advisory_lock(4711)", "f")
			a.run("SELECT count(*) FROM feature_rows")
			b.is("SELECT pg_try_advisory_lock(4711)", "f")
			a.is("SELECT pg_advisory_unlock(4711)", "t")
			b.is("SELECT pg_try_advisory_lock(4711)", "t")
			b.is("SELECT pg_advisory_unlock(4711)", "t")
		})
	}),
	named("migration lock released when its client is killed", func(t *trial) {
		for range 3 {
			a, b := t.client(), t.client()
			a.is("SELECT pg_try_advisory_lock(4712)", "t")
			a.run("BEGIN")
			a.run("SELECT count(*) FROM feature_rows")
			b.is("SELECT pg_try_advisory_lock(4712)", "f")
			a.kill()
			t.eventually("the lock stays", func() bool { return b.run("SELECT pg_try_advisory_lock(4712)").value() == "t" })
			b.is("SELECT pg_advisory_unlock(4712)", "t")
			b.quit()
		}
	}),
	named("LISTEN, NOTIFY and UNLISTEN", listen),
	named("temporary table", func(t *trial) {
		a, b := t.client(), t.client()
		a.run("CREATE TEMPORARY TABLE feature_temp (id int)")
		t.often(func() {
			a.run("INSERT INTO feature_temp VALUES (1)")
			b.fails("SELECT * FROM feature_temp", "42P01")
		})
		a.is("SELECT count(*) FROM feature_temp", fmt.Sprint(rounds))
		a.run("DROP TABLE feature_temp")
		t.often(func() { b.fails("SELECT * FROM feature_temp", "42P01") })
	}),
	named("WITH HOLD cursor", func(t *trial) {
		c := t.client()
		c.run("BEGIN")
		c.run("DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 100)")
		c.run("COMMIT")
		for i := range rounds {
			c.is("FETCH held", fmt.Sprint(i+1))
		}
		c.run("CLOSE held")
		t.often(func() { c.fails("FETCH held", "34000") })
	}),
	named("currval after nextval", func(t *trial) {
		a, b := t.client(), t.client()
		t.often(func() {
			mine := a.run("SELECT nextval('feature_serial_id_seq')").value()
			b.run("SELECT nextval('feature_serial_id_seq')")
			a.is("SELECT currval('feature_serial_id_seq')", mine)
		})
	}),
	named("currval after INSERT into a serial column", currvalAfterInsert),
	named("the same once a client of the database has asked for one", func(t *trial) {
		t.client().fails("SELECT lastval()", "55000")
		currvalAfterInsert(t)
	}),
	named("cursor inside a transaction", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.run("BEGIN")
			c.run("DECLARE c CURSOR FOR SELECT generate_series(1, 3)")
			c.is("FETCH 2 FROM c", "1,2")
			c.is("FETCH 2 FROM c", "3")
			c.run("COMMIT")
			c.fails("FETCH c", "34000")
		})
	}),
)

// currvalAfterInsert wants the value that an INSERT has taken by a default, while another client inserts, too.
func currvalAfterInsert(t *trial) {
	a, b := t.client(), t.client()
	t.often(func() {
		mine := a.run("INSERT INTO feature_serial (word) VALUES ('a') RETURNING id").value()
		b.run("INSERT INTO feature_serial (word) VALUES ('b')")
		a.is("SELECT currval('feature_serial_id_seq')", mine)
	})
}

// listen wants notifications while the listener is idle, only those of its channels, and none after UNLISTEN.
func listen(t *trial) {
	a, b := t.client(), t.client()
	a.run("LISTEN feature")
	for i := range rounds {
		b.run(fmt.Sprintf("NOTIFY feature, '%d'", i))
		b.run("NOTIFY feature_other, 'no'")
		a.awaitNote(fmt.Sprintf("feature:%d", i))
	}
	a.run("SELECT count(*) FROM feature_rows")
	a.run("UNLISTEN *")
	b.run("NOTIFY feature, 'late'")
	t.often(func() { a.run("SELECT count(*) FROM feature_rows") })
	if !a.dead() {
		t.same("notes left", fmt.Sprint(a.conn.notes), "[]")
	}
}

// awaitNote takes the next notification, saying nothing meanwhile.
func (c *client) awaitNote(want string) {
	if c.dead() {
		return
	}
	if len(c.conn.notes) == 0 {
		if _, err := c.conn.receiveUntil('A'); err != nil {
			c.t.fail("notification %s: %s", want, reason(err))
			return
		}
	}
	c.t.same("notification", c.conn.notes[0], want)
	c.conn.notes = c.conn.notes[1:]
}
