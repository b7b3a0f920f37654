//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"

	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// between runs a statement of a busy neighbour on every server of the guard, each in its own way of leaving an unnamed
// statement behind.
func between(t *testing.T, g *guard, servers int) {
	t.Helper()
	var all []*speaker
	for range servers {
		p, _ := enter(t, g.addr)
		p.expect("begin", "C BEGIN; Z T")
		p.write(unnamed("select 'the neighbour''s'"))
		p.read("Z")
		all = append(all, p)
	}
	for _, p := range all {
		p.said = nil
		p.write(unnamed("commit"))
		p.read("Z")
		p.write(unnamed("select 'the neighbour''s again'"))
		p.read("Z")
		p.leave()
	}
}

// sameBetween plays the steps at both, with neighbours at work at the guard, on so many servers, between every two.
func sameBetween(t *testing.T, servers int, steps ...step) {
	t.Helper()
	g := narrow(t, servers, impatient(patience))
	sameWhile(t, g, func() { between(t, g, servers) }, steps...)
}

// sameWhile plays the steps at both and calls meanwhile at the guard between every two.
func sameWhile(t *testing.T, g *guard, meanwhile func(), steps ...step) {
	t.Helper()
	want := scripted(t, address(shared), nil, steps)
	p, _ := enter(t, g.addr)
	var got []string
	for i, s := range steps {
		lines := p.play([]step{s})
		lines[0] = want[len(got)]
		got = append(got, lines...)
		if i+1 < len(steps) {
			meanwhile()
		}
	}
	compare(t, want, got)
}

var (
	longText  = "select 'long', $1::int /* " + strings.Repeat("x", maxText) + " */"
	shortText = "select 'short', $1::int + 0"
)

func TestUnnamedStatementOutlivesItsServer(t *testing.T) {
	sameBetween(t, 2,
		say("Z", parse("", shortText), describe('S', ""), msgSync),
		say("Z", bound("", "", "1"), describe('P', ""), execute("", 0), msgSync),
	)
}

// What is too long to be remembered keeps its server until it is bound, and is not mixed up with another's after.
func TestLongUnnamedStatementKeepsServerUntilBound(t *testing.T) {
	g := narrow(t, 2, nil)
	sameWhile(t, g, func() { between(t, g, 1) },
		say("Z", parse("", longText), describe('S', ""), msgSync),
		say("Z", bound("", "", "1"), describe('P', ""), execute("", 0), msgSync),
	)
	g.atRest(t)
	p, _ := enter(t, g.addr)
	p.play([]step{say("Z", unnamed(longText, "1"))})
	between(t, g, 2)
	got := p.play([]step{say("Z", bound("", "", "1"), execute("", 0), msgSync)})
	compare(t, []string{"-- 0", "E SERROR VERROR C26000 Munnamed prepared statement does not exist", "Z I"}, got)
}

func TestUnnamedStatementCanBeBoundAgain(t *testing.T) {
	sameBetween(t, 1,
		say("Z", parse("", shortText), describe('S', ""), msgSync),
		say("Z", bound("", "", "1"), execute("", 0), msgSync),
		say("Z", bound("", "", "2"), execute("", 0), msgSync),
		say("Z", describe('S', ""), msgSync),
		say("Z", describe('S', ""), bound("", "", "3"), describe('P', ""), execute("", 0), msgSync),
		say("ZZ", bound("", "", "4"), execute("", 0), msgSync, bound("", "", "5"), execute("", 0), msgSync),
		say("ZZ", bound("", "", "6"), execute("", 0), msgSync, unnamed("select 7")),
		say("Z", bound("", ""), execute("", 0), msgSync),
		say("Z", bound("", "", "one too many"), execute("", 0), msgSync),
		say("Z", bound("", ""), execute("", 0), msgSync),
	)
}

func TestUnnamedStatementOfAnotherIsNeverBound(t *testing.T) {
	run := say("Z", bound("", ""), execute("", 0), msgSync)
	look := say("Z", describe('S', ""), msgSync)
	tests := map[string][]step{
		"nothing parsed":       {run, look},
		"after simple query":   append(append(batches("select 'mine'"), queries("select 1")...), run, look),
		"after empty query":    append(append(batches("select 'mine'"), queries("")...), run, look),
		"after deferred end":   append(append(batches("select 'mine'"), queries("begin", "commit")...), run, look),
		"query in the batch":   {say("ZZ", simple("select 1"), run.send), run},
		"in a transaction":     {say("ZZ", simple("begin"), run.send), say("Z", simple("rollback"))},
		"after a syntax error": {say("Z", parse("", "selec"), msgSync), run},
		"after close": {
			say("Z", unnamed("select 'mine'")), say("Z", closes('S', ""), msgSync), run, look,
			say("Z", unnamed("select 'mine'")), say("Z", closes('S', ""), bound("", ""), execute("", 0), msgSync),
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 2, nil)
			sameWhile(t, g, func() { between(t, g, 1) }, steps...)
		})
	}
}

// A client that has parsed and does nothing more must not keep others from their work.
func TestParsedStatementDoesNotHoldServer(t *testing.T) {
	for name, steps := range map[string][]step{
		"parsed":       {say("Z", parse("", "select 1"), describe('S', ""), msgSync)},
		"syntax error": {say("Z", parse("", "selec"), msgSync)},
		"long error":   {say("Z", parse("", "selec"+strings.Repeat(" ", sock.BufferSize)), msgSync)},
		"closed":       {say("Z", parse("", longText), msgSync), say("Z", closes('S', ""), msgSync)},
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 1, nil)
			p, _ := enter(t, g.addr)
			p.play(steps)
			g.atRest(t)
			between(t, g, 1)
		})
	}
}

// The unnamed statement stays what it is where PostgreSQL leaves it alone.
func TestUnnamedStatementStays(t *testing.T) {
	g := narrow(t, 1, nil)
	long := func(text string) []byte { return parse("", text+" /*"+strings.Repeat("x", 2<<20)+"*/") } // only its server knows it
	again := say("Z", bound("", ""), execute("", 0), msgSync)
	for name, steps := range map[string][]step{
		"a query without an end":           {say("Z", parse("", "select 1"), msgSync), say("Z", wire.AppendMessage(nil, wire.Query, []byte("select 2"))), again, again},
		"a query with two":                 {say("Z", parse("", "select 1"), msgSync), say("Z", wire.AppendMessage(nil, wire.Query, []byte("select 2\x00 3\x00"))), again},
		"an error that looks so":           {say("Z", parse("", "select 1"), msgSync), say("Z", simple("do $$ begin raise exception using errcode = '08P01'; end $$")), again},
		"discard all":                      {say("Z", parse("b", "discard all"), msgSync), say("Z", parse("", "select 3"), msgSync), say("Z", bound("", "b"), execute("", 0), msgSync), again},
		"deallocate all":                   {say("Z", parse("b", "deallocate all"), msgSync), say("Z", parse("", "select 3"), msgSync), say("Z", bound("", "b"), execute("", 0), msgSync), again},
		"discard all, of a long one":       {say("Z", parse("b", "discard all"), long("select 3"), msgSync), say("Z", bound("", "b"), execute("", 0), msgSync), again},
		"a name in a failed transaction":   {say("Z", long("select 3"), msgSync), say("Z", parse("a", "begin"), bound("", "a"), execute("", 0), parse("b", "selec"), msgSync), say("Z", parse("c", "select 2"), msgSync), say("Z", parse("c", "rollback"), bound("", "c"), execute("", 0), msgSync), again},
		"a long name that is read over":    {say("Z", long("select 3"), msgSync), say("Z", bound("", "nobody"), parse("b", "select 4 /*"+strings.Repeat("x", 2<<20)+"*/"), msgSync), again},
		"other names":                      {say("Z", long("select 3"), msgSync), say("Z", parse("a", "select 4"), msgSync), again},
		"a rollback in its place, by name": {say("Z", simple("begin; selec")), say("Z", parse("r", "rollback"), msgSync), say("Z", parse("r", "rollback"), msgSync), say("Z", bound("", "r"), execute("", 0), msgSync)},
	} {
		t.Run(name, func(t *testing.T) { same(t, g, steps...) })
	}
}

// What the guard answers itself leaves its unnamed statement like what a server answers, in every mode.
func TestUnnamedStatementAnsweredInPlace(t *testing.T) {
	for _, mode := range []PoolMode{PoolModeTransaction, PoolModeSession} {
		for _, text := range []string{"", "-- nothing", "begin", "commit"} {
			t.Run(fmt.Sprintf("%v/%q", mode, text), func(t *testing.T) {
				g := narrow(t, 1, func(c *Config) { c.Mode = mode })
				batch := say("Z", parse("", text), bound("", ""), execute("", 0), msgSync)
				same(t, g, batch, say("t", describe('S', ""), msgFlush), say("Z", msgSync), say("Z", simple("rollback")))
				same(t, g, batch, say("Z", bound("", ""), execute("", 0), msgSync), say("Z", simple("rollback")))
				same(t, g, batch, say("Z", unnamed("select 1")), say("Z", describe('S', ""), msgSync), say("Z", simple("rollback")))
				same(t, g, batch, say("Z", simple("select 1")), say("Z", describe('S', ""), msgSync), say("Z", simple("rollback")))
			})
		}
	}
}
