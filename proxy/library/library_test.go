package library

import (
	"fmt"
	"pgguard/proxy/translate"
	"testing"
)

func body(text string) []byte { return []byte(text + "\x00\x00\x00") }

// The table counts its bytes exactly, stays within its limit whatever comes, and keeps what clients hold by name.
func TestStatementTableIsBounded(t *testing.T) {
	table := New(1 << 20).Shelf()
	held := table.Named(body("select 'held'"), translate.PlainParsing, 1)
	held.Held.Add(1)
	for i := range 20_000 {
		table.Named(body(fmt.Sprintf("select %d", i)), translate.PlainParsing, 1)
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
	if table.Named(body("select 'held'"), translate.PlainParsing, 1) != held {
		t.Error("a statement that a client holds by name was forgotten")
	}
}

func TestStatementTableFullOfHeldOnesTakesNoMore(t *testing.T) {
	table := New(1 << 12).Shelf()
	n := 0
	for ; ; n++ {
		st := table.Named(body(fmt.Sprintf("select %d", n)), translate.PlainParsing, 1)
		if st == nil {
			break
		}
		st.Held.Add(1)
	}
	if n == 0 || table.used.Load() > table.limit {
		t.Errorf("%d statements, %d bytes of %d", n, table.used.Load(), table.limit)
	}
}

// Statements are one if text, parameter types, the settings under which the text is read and the age agree.
func TestStatementsAreToldApart(t *testing.T) {
	all := New(1 << 20)
	table := all.Shelf()
	tokyo := translate.NewSettings([]translate.Pair{{Name: "TimeZone", Value: "Asia/Tokyo"}}).Parsing()
	a := table.Named(body("select 1"), translate.PlainParsing, 1)
	for name, b := range map[string]*translate.Statement{
		"text":     table.Named(body("select 2"), translate.PlainParsing, 1),
		"types":    table.Named([]byte("select 1\x00\x00\x01\x00\x00\x00\x17"), translate.PlainParsing, 1),
		"settings": table.Named(body("select 1"), tokyo, 1),
		"age":      table.Named(body("select 1"), translate.PlainParsing, 2),
		"shelf":    all.Shelf().Named(body("select 1"), translate.PlainParsing, 1),
	} {
		if a == b || a.Name == b.Name {
			t.Errorf("another %s is the same statement", name)
		}
	}
	if table.Named(body("select 1"), translate.PlainParsing, 1) != a {
		t.Error("the same statement is another one")
	}
}

// A text that is seen once as an unnamed statement takes no room; one that comes again is shared, if it may be.
func TestUnnamedStatementsAreSharedFromTheSecondTime(t *testing.T) {
	table := New(1 << 20).Shelf()
	if st := table.Unnamed(body("select 1"), translate.PlainParsing, 1); st.Name != "" || table.count.Load() != 0 {
		t.Errorf("seen once: name %q, %d in the table", st.Name, table.count.Load())
	}
	if st := table.Unnamed(body("select 1"), translate.PlainParsing, 1); st.Name == "" {
		t.Error("seen twice and not shared")
	}
	for range 3 {
		if st := table.Unnamed(body("fetch 1 from c"), translate.PlainParsing, 1); st.Name != "" {
			t.Error("FETCH is shared")
		}
	}
}

// What is not shared counts while a client's name means it, is not given where there is no room, and goes back exactly.
func TestStatementsOfOneClientCount(t *testing.T) {
	table := New(1 << 12).Shelf()
	var held []*translate.Statement
	for n := 0; ; n++ {
		st := table.Named(body(fmt.Sprintf("explain select %d", n)), translate.PlainParsing, 1)
		if st == nil {
			break
		}
		table.Count(st, true)
		held = append(held, st)
	}
	if len(held) == 0 || table.HasRoom(body("explain select 100")) || table.used.Load() > table.limit {
		t.Errorf("%d statements, %d bytes of %d", len(held), table.used.Load(), table.limit)
	}
	for _, st := range held {
		table.Count(st, false)
	}
	if count, bytes := table.Stats(); count != 0 || bytes != 0 {
		t.Errorf("%d statements in %d bytes are left", count, bytes)
	}
}
