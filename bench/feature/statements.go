package feature

import (
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgproto3"
)

var statements = group("prepared statements",
	named("named statement", func(t *trial) {
		c := t.client()
		c.prepare("s1", "SELECT $1::int + 1")
		t.often(func() { t.same("s1", c.executed("s1", "41"), "42") })
	}),
	named("same name, other SQL in each client", func(t *trial) {
		a, b := t.client(), t.client()
		a.prepare("s1", "SELECT 'a' || $1::text")
		b.prepare("s1", "SELECT 'b' || $1::text || $2::text")
		t.often(func() {
			t.same("s1 of a", a.executed("s1", "1"), "a1")
			t.same("s1 of b", b.executed("s1", "1", "2"), "b12")
		})
	}),
	named("300 statements in one client", func(t *trial) {
		c := t.client()
		const n = 300 // more than poolers keep on a server by default
		for i := range n {
			c.prepare("s"+strconv.Itoa(i), fmt.Sprintf("SELECT %d", i))
		}
		for i := range n {
			t.same("one of many", c.executed("s"+strconv.Itoa(i)), strconv.Itoa(i))
		}
	}),
	named("Describe of a named statement", describeStatement),
	named("Close, then the name again with other SQL", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.prepare("s1", "SELECT 1")
			t.same("s1", c.executed("s1"), "1")
			c.runs(forget("s1"), syncUp())
			c.prepare("s1", "SELECT 'two'")
			t.same("s1", c.executed("s1"), "two")
			c.runs(forget("s1"), syncUp())
		})
	}),
	named("42P05 for a name in use", func(t *trial) {
		c := t.client()
		c.prepare("s1", "SELECT 1")
		t.often(func() {
			t.refused("Parse again", c.say(parse("s1", "SELECT 2"), syncUp()), "42P05")
			t.same("s1", c.executed("s1"), "1")
		})
	}),
	named("26000 for an unknown name", func(t *trial) {
		a, b, c := t.client(), t.client(), t.client()
		a.prepare("s1", "SELECT 1")
		a.prepare("gone", "SELECT 1")
		c.prepare("gone", "SELECT 1")
		c.run("DEALLOCATE ALL")
		a.runs(forget("gone"), forget("never was"), syncUp())
		t.often(func() {
			t.refused("the name of another client", b.tried("s1"), "26000")
			t.refused("a closed name", a.tried("gone"), "26000")
			t.refused("a name of DEALLOCATE ALL", c.tried("gone"), "26000")
			t.refused("Describe", b.say(describe("s1"), syncUp()), "26000")
		})
	}),
	named("error in the middle of a pipeline", pipelineError),
	named("unnamed statement in later transactions", func(t *trial) {
		c := t.client()
		c.runs(parse("", "SELECT $1::int * 2"), syncUp())
		t.often(func() { t.same("unnamed", c.executed("", "21"), "42") })
	}),
	named("SQL PREPARE and EXECUTE", func(t *trial) {
		a, b := t.client(), t.client()
		a.run("PREPARE p1 (int) AS SELECT $1 + 1")
		b.run("PREPARE p1 AS SELECT 'b'")
		t.often(func() {
			a.is("EXECUTE p1(41)", "42")
			b.is("EXECUTE p1", "b")
		})
	}),
	named("SQL EXECUTE of a protocol statement", func(t *trial) {
		c := t.client()
		c.prepare("s1", "SELECT $1::int + 1")
		t.often(func() { c.is("EXECUTE s1(41)", "42") })
	}),
	named("Bind of an SQL-prepared statement", func(t *trial) {
		c := t.client()
		c.run("PREPARE p1 (int) AS SELECT $1 + 1")
		t.often(func() { t.same("p1", c.executed("p1", "41"), "42") })
	}),
	named("DEALLOCATE name as text, then Parse again", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.prepare("a1", "SELECT 1")
			t.same("a1", c.executed("a1"), "1")
			c.run("DEALLOCATE a1")
			t.refused("a1 after DEALLOCATE", c.tried("a1"), "26000")
			c.prepare("a1", "SELECT 'two'")
			t.same("a1", c.executed("a1"), "two")
			c.run("DEALLOCATE a1")
		})
	}),
	named("DEALLOCATE ALL", func(t *trial) { dropAll(t, "DEALLOCATE ALL") }),
	named("DISCARD ALL", func(t *trial) { dropAll(t, "DISCARD ALL") }),
	named("statement prepared again after ALTER TABLE", changedPlan),
	named("0A000 inside a transaction, all fields", changedPlanInside),
)

func describeStatement(t *trial) {
	c := t.client()
	c.prepare("s1", `SELECT $1::int AS "n", $2::text AS "word"`)
	t.often(func() {
		a := c.runs(describe("s1"), syncUp())
		t.same("parameters", fmt.Sprint(a.arguments), "[23 25]")
		t.same("columns", fmt.Sprint(a.columns), "[n word]")
		t.same("messages", a.types, "tT")
	})
}

// pipelineError has PostgreSQL skip what follows the error up to the Sync; what was prepared before stays.
func pipelineError(t *trial) {
	c := t.client()
	t.often(func() {
		a := c.say(
			parse("before", "SELECT 'before'"), bind("before"), execute(),
			parse("wrong", "SELECT 1 / (id - $1::int) FROM feature_rows WHERE id = 1"), bind("wrong", "1"), execute(),
			parse("after", "SELECT 'after'"), bind("after"), execute(), syncUp(),
		)
		t.refused("the division", a, "22012")
		t.same("messages", a.types, "12DC12E")
		t.same("before", c.executed("before"), "before")
		t.same("wrong", c.executed("wrong", "0"), "1")
		t.refused("after", c.tried("after"), "26000")
		c.runs(forget("before"), forget("wrong"), syncUp())
	})
}

// dropAll checks that the command drops the client's statements, and only those: the names can be used again.
func dropAll(t *trial, command string) {
	c, other := t.client(), t.client()
	other.prepare("s1", "SELECT 'other'")
	t.often(func() {
		c.prepare("s1", "SELECT 1")
		c.prepare("s2", "SELECT 2")
		c.run(command)
		c.prepare("s1", "SELECT 'again'")
		t.same("s1", c.executed("s1"), "again")
		t.same("s1 of the other client", other.executed("s1"), "other")
		c.run(command)
	})
}

// changedPlan wants what an application can rely on: the statement either goes on with the new columns, or fails with
// 0A000 and works once it was closed and prepared again.
func changedPlan(t *trial) {
	c, other := t.client(), t.client()
	const sql = "SELECT * FROM feature_ddl"
	c.prepare("s1", sql)
	t.often(func() { t.same("before", c.executed("s1"), "1") })
	other.run("ALTER TABLE feature_ddl ADD COLUMN more int DEFAULT 2")
	a := c.tried("s1")
	if a.code() == "0A000" {
		c.runs(forget("s1"), syncUp())
		c.prepare("s1", sql)
	} else {
		c.fine(a)
	}
	t.often(func() {
		a := c.runs(&pgproto3.Describe{ObjectType: 'S', Name: "s1"}, bind("s1"), execute(), syncUp())
		t.same("after", a.text(), "1|2")
		t.same("columns", fmt.Sprint(a.columns), "[id more]")
	})
}

// changedPlanInside wants the error that Active Record looks for, with the field it looks at, or the new columns: a target
// may have prepared the statement only now on the server of the transaction.
func changedPlanInside(t *trial) {
	c, other := t.client(), t.client()
	c.prepare("s1", "SELECT * FROM feature_ddl")
	t.often(func() {
		c.run("BEGIN")
		t.same("before", c.executed("s1"), "1")
		c.run("COMMIT")
	})
	other.run("ALTER TABLE feature_ddl ADD COLUMN more int DEFAULT 2")
	c.run("BEGIN")
	switch a := c.tried("s1"); {
	case a.err == nil:
		t.same("after", a.text(), "1|2")
	case a.err.Routine != "RevalidateCachedQuery":
		t.fail("%s, routine %q", wrong(a.err), a.err.Routine)
	default:
		t.refused("after", a, "0A000")
	}
	c.run("ROLLBACK")
}

// group puts features into a group.
func group(name string, features ...Feature) []Feature {
	for i := range features {
		features[i].Group = name
	}
	return features
}

// named is a feature with neighbours.
func named(name string, try func(t *trial)) Feature { return Feature{Name: name, try: try} }
