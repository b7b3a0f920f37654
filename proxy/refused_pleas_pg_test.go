//go:build pg

package proxy

import (
	"fmt"
	"strings"
)

// plea is what a client asks for while there is no room. Its rows have ids that start with its own.
type plea struct {
	name  string
	asks  [][]byte // written at once, each in a write of its own
	then  []byte   // written when the first error has been read
	later []byte   // written when there is room again
	want  string   // the answer where each part is refused: E and Z
	ends  int      // how many ReadyForQuery where nothing is refused; 0: as many as in want
}

// pleas are all pleas; oid is the function asks.
func pleas(id string, oid uint32) []plea {
	n := 0
	next := func() string { n++; return fmt.Sprint(id, "#", n) }
	row := func() string { return inserting(next()) }
	all := func(messages ...[]byte) [][]byte { return [][]byte{say("", messages...).send} }
	pad := func(size int) string { return strings.Repeat(" ", size) }
	long := "insert into asked select $1::text where length($2::text) > 0"
	run := func(text string) []byte { return append(ext(text), msgSync...) }
	named := func(name, text string) []byte {
		return say("", parse(name, text), bound("", name), execute("", 0), msgSync).send
	}
	rest := say("", bound("", ""), execute("", 0), msgSync).send
	hundred := ext(row())
	for range 99 {
		hundred = append(append(hundred, bound("", "")...), execute("", 0)...)
	}
	half := func(whole []byte, rest ...[]byte) (asks [][]byte, later []byte) {
		return [][]byte{whole[:40<<10]}, say("", append([][]byte{whole[40<<10:]}, rest...)...).send
	}
	pleas := []plea{
		{name: "query", asks: all(simple(row())), want: "EZ"},
		{name: "two queries", asks: all(simple(row()), simple(row())), want: "EZEZ"},
		{name: "query of two statements", asks: all(simple(row() + "; " + row())), want: "EZ"},
		{name: "query of 17 KiB", asks: all(simple(row() + ";" + pad(17<<10))), want: "EZ"},
		{name: "query of 70 KiB", asks: all(simple(row() + ";" + pad(70<<10))), want: "EZ"},
		{name: "query of 70 KiB, its statement at the end", asks: all(simple(pad(70<<10) + row())), want: "EZ"},
		{name: "query of 70 KiB, then a query", asks: all(simple(row()+pad(70<<10)), simple(row())), want: "EZEZ"},
		{name: "batch", asks: all(unnamed(row())), want: "EZ"},
		{name: "batch of a name", asks: all(named("mine", row())), want: "EZ"},
		{name: "batch of a name from before", asks: all(bound("", "before"), execute("", 0), msgSync), want: "EZ"},
		{name: "batch of the unnamed statement from before", asks: all(rest), want: "EZ"},
		{name: "nothing but a Parse", asks: all(parse("mine", row()), msgSync), want: "EZ"},
		{name: "three batches", asks: all(run(row()), named("mine", row()), run(row())), want: "EZEZEZ"},
		{name: "three batches of 7 KiB", asks: all(run(row()+pad(7<<10)), run(row()+pad(7<<10)), run(row()+pad(7<<10))), want: "EZEZEZ"},
		{name: "batch of a hundred", asks: all(hundred, msgSync), want: "EZ"},
		{name: "batch, Bind of 20 KiB", asks: all(parse("", long), bound("", "", next(), pad(20<<10)), execute("", 0), msgSync), want: "EZ"},
		{name: "batch, Bind of 70 KiB", asks: all(parse("", long), bound("", "", next(), pad(70<<10)), execute("", 0), msgSync), want: "EZ"},
		{name: "batch, Parse of 20 KiB", asks: all(run(row() + ";" + pad(20<<10))), want: "EZ"},
		{name: "batch, Parse of 70 KiB", asks: all(named("mine", row()+";"+pad(70<<10)), run(row())), want: "EZEZ"},
		{name: "batch and query", asks: all(run(row()), simple(row())), want: "EZEZ"},
		{name: "query and batch", asks: all(simple(row()), run(row())), want: "EZEZ"},
		{name: "batch and a Sync", asks: all(run(row()), msgSync), want: "EZZ"},
		{name: "batch with a Flush", asks: all(ext(row()), msgFlush, ext(row()), msgFlush, msgSync), want: "EZ"},
		{name: "batch in two writes", asks: [][]byte{parse("", row()), rest}, want: "EZ"},
		{name: "batch, Bind after the error", asks: all(parse("", row())), then: rest, want: "EZ"},
		{name: "batch, Execute after the error", asks: all(parse("", row()), bound("", "")), then: say("", execute("", 0), msgSync).send, want: "EZ"},
		{name: "batch, Bind when there is room", asks: all(parse("", row())), later: rest, want: "EZ"},
		{name: "batch, Execute when there is room", asks: all(parse("", row()), bound("", "")), later: say("", execute("", 0), msgSync).send, want: "EZ"},
		{name: "batch, Sync when there is room", asks: all(ext(row()), msgFlush), later: msgSync, want: "EZ"},
		{name: "batch, another statement when there is room", asks: all(ext(row())), later: say("", ext(row()), named("mine", row())).send, want: "EZ"},
		{name: "batch, query before its Sync when there is room", asks: all(ext(row())), later: say("", simple(row()), msgSync).send, want: "EZ", ends: 2},
		{name: "function call", asks: all(calling(oid, next())), want: "EZ"},
		{name: "function call and batch", asks: all(calling(oid, next()), run(row())), want: "EZEZ"},
		{name: "stray copy data and a query", asks: all(pieces("1\n"), simple(row())), want: "EZ"},
		{name: "a Sync and a batch", asks: all(msgSync, run(row())), want: "ZEZ"},
		{name: "a Flush and a batch", asks: all(msgFlush, run(row())), want: "EZ"},
		{name: "COPY", asks: all(simple("copy asked from stdin"), pieces(next()+"\n", next()+"\n"), msgCopyDone), want: "EZ"},
		{name: "COPY, then a query", asks: all(simple("copy asked from stdin"), pieces(next()+"\n"), msgCopyDone, simple(row())), want: "EZEZ"},
		{name: "COPY of 70 KiB", asks: all(simple("copy asked from stdin"), pieces(next()+"\n"+next()+pad(70<<10)+"\n"), msgCopyDone), want: "EZ"},
		{name: "COPY in a batch", asks: all(ext("copy asked from stdin"), msgFlush, pieces(next()+"\n"), msgCopyDone, msgSync), want: "EZ"},
		{name: "COPY in a batch, as drivers", asks: all(run("copy asked from stdin"), pieces(next()+"\n"), msgCopyDone, msgSync), want: "EZZ", ends: 1},
	}
	asks, later := half(simple(row() + ";" + pad(70<<10)))
	pleas = append(pleas, plea{name: "query of 70 KiB, half of it when there is room", asks: asks, later: later, want: "EZ"})
	asks, later = half(simple(pad(70<<10) + row()))
	pleas = append(pleas, plea{name: "query of 70 KiB, half of it and the statement when there is room", asks: asks, later: later, want: "EZ"})
	asks, later = half(bound("", "before", pad(70<<10)), execute("", 0), msgSync)
	return append(pleas, plea{name: "batch, half of a Bind of 70 KiB when there is room", asks: asks, later: later, want: "EZ"})
}
