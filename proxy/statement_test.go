package proxy

import (
	"fmt"
	"pgguard/proxy/instance"
	"testing"
)

func body(text string) []byte { return []byte(text + emptyBody) }

// The table counts its bytes exactly, stays within its limit whatever comes, and keeps what clients hold by name.
func TestStatementTableIsBounded(t *testing.T) {
	table := newStatements(1 << 20)
	held := table.named(body("select 'held'"), plainParsing, instance.Age{})
	held.names.Add(1)
	for i := range 20_000 {
		table.named(body(fmt.Sprintf("select %d", i)), plainParsing, instance.Age{})
		if used := table.used.Load(); used > table.limit {
			t.Fatalf("%d bytes are used of %d", used, table.limit)
		}
	}
	var sum int64
	for _, st := range table.all {
		sum += st.cost()
	}
	if sum != table.used.Load() || int64(len(table.all)) != table.count.Load() {
		t.Errorf("counted %d bytes in %d statements, there are %d in %d", table.used.Load(), table.count.Load(), sum, len(table.all))
	}
	if table.named(body("select 'held'"), plainParsing, instance.Age{}) != held {
		t.Error("a statement that a client holds by name was forgotten")
	}
}

func TestStatementTableFullOfHeldOnesTakesNoMore(t *testing.T) {
	table := newStatements(1 << 12)
	n := 0
	for ; ; n++ {
		st := table.named(body(fmt.Sprintf("select %d", n)), plainParsing, instance.Age{})
		if st == nil {
			break
		}
		st.names.Add(1)
	}
	if n == 0 || table.used.Load() > table.limit {
		t.Errorf("%d statements, %d bytes of %d", n, table.used.Load(), table.limit)
	}
}

// Statements are one if text, parameter types, the settings under which the text is read and the age agree.
func TestStatementsAreToldApart(t *testing.T) {
	table := newStatements(1 << 20)
	tokyo := newSettings([]pair{{"TimeZone", "Asia/Tokyo"}}).parsing
	a := table.named(body("select 1"), plainParsing, instance.Age{})
	for name, b := range map[string]*statement{
		"text":     table.named(body("select 2"), plainParsing, instance.Age{}),
		"types":    table.named([]byte("select 1\x00\x00\x01\x00\x00\x00\x17"), plainParsing, instance.Age{}),
		"settings": table.named(body("select 1"), tokyo, instance.Age{}),
		"age":      table.named(body("select 1"), plainParsing, instance.Age{Schema: 1}),
	} {
		if a == b || a.name == b.name {
			t.Errorf("another %s is the same statement", name)
		}
	}
	if table.named(body("select 1"), plainParsing, instance.Age{}) != a {
		t.Error("the same statement is another one")
	}
}

// A text that is seen once as an unnamed statement takes no room; one that comes again is shared, if it may be.
func TestUnnamedStatementsAreSharedFromTheSecondTime(t *testing.T) {
	table := newStatements(1 << 20)
	if st := table.unnamed(body("select 1"), plainParsing, instance.Age{}); st.name != "" || table.count.Load() != 0 {
		t.Errorf("seen once: name %q, %d in the table", st.name, table.count.Load())
	}
	if st := table.unnamed(body("select 1"), plainParsing, instance.Age{}); st.name == "" {
		t.Error("seen twice and not shared")
	}
	for range 3 {
		if st := table.unnamed(body("fetch 1 from c"), plainParsing, instance.Age{}); st.name != "" {
			t.Error("FETCH is shared")
		}
	}
}

func TestPreparedForgetsTheOldest(t *testing.T) {
	var p prepared
	var all []*statement
	for range 4 {
		st := &statement{}
		all = append(all, st)
		p.add(st)
	}
	p.has(all[0])
	if p.last() != all[1] {
		t.Error("the statement used last is the first to go")
	}
	p.remove(all[1])
	p.remove(all[3])
	if p.last() != all[2] || len(p.of) != 2 || !p.has(all[0]) || p.has(all[3]) {
		t.Errorf("after removal: %d statements", len(p.of))
	}
}

func TestSettingsCompareAndChange(t *testing.T) {
	a := newSettings([]pair{{"work_mem", "1"}, {"TimeZone", "UTC"}, {"app.tenant", "it's \\"}})
	b := newSettings([]pair{{"app.tenant", "it's \\"}, {"work_mem", "1"}, {"TimeZone", "UTC"}})
	if a != b {
		t.Error("equal settings differ")
	}
	if a.parsing == plainParsing || newSettings([]pair{{"work_mem", "1"}, {"app.x", "2"}}).parsing != plainParsing {
		t.Error("only settings that change what a text means keep statements apart")
	}
	list, role := changes(a, newSettings([]pair{{"TimeZone", "UTC"}, {"role", "other"}}))
	out, n := appendChanges(nil, list)
	const want = "SELECT pg_catalog.set_config(E'app.tenant',NULL,false),pg_catalog.set_config(E'work_mem',NULL,false)," +
		"pg_catalog.set_config(E'role',E'other',false)\x00"
	if !role || n != 1 || string(out[5:]) != want {
		t.Errorf("%d queries, takes a role %v:\n%s\nwant\n%s", n, role, out[5:], want)
	}
	list, role = changes(newSettings([]pair{{"role", "other"}}), a)
	out, _ = appendChanges(nil, list)
	const back = "SELECT pg_catalog.set_config(E'role',E'none',false),pg_catalog.set_config(E'TimeZone',E'UTC',false)," +
		"pg_catalog.set_config(E'app.tenant',E'it''s \\\\',false),pg_catalog.set_config(E'work_mem',E'1',false)," +
		"pg_catalog.set_config(E'role',NULL,false)\x00"
	if role || string(out[5:]) != back {
		t.Errorf("takes a role %v:\n%s\nwant\n%s", role, out[5:], back)
	}
}
