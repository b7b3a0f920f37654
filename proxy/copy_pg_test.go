//go:build pg

package proxy

import (
	"pgguard/proxy/sock"
	"strings"
	"testing"
)

const (
	copyIn  = "copy keyed from stdin"
	copyOut = "copy (select g from generate_series(1, 3) g) to stdout"
	copyBig = "copy (select g, repeat('x', 100) from generate_series(1, 20000) g) to stdout"
)

// pieces is a CopyData message for each text.
func pieces(texts ...string) []byte {
	var out []byte
	for _, text := range texts {
		out = append(out, copyData(text)...)
	}
	return out
}

// ext is a statement in the extended protocol without its Sync.
func ext(text string) []byte {
	return append(append(parse("", text), bound("", "")...), execute("", 0)...)
}

// copies are scripts around COPY. All of them end in a transaction that is rolled back, or fail.
var copies = map[string][]step{
	"in":             {say("Z", simple("begin")), say("G", simple(copyIn)), say("Z", pieces("10\n11\n", "12\n"), msgCopyDone), say("Z", simple("select count(*) from keyed"))},
	"in, split rows": {say("Z", simple("begin")), say("G", simple(copyIn)), step{send: append(pieces("1", "0\n", "", "1", "1\n"), msgCopyDone...), until: "Z", each: 3}},
	"in, empty":      {say("G", simple(copyIn)), say("Z", msgCopyDone), say("Z", simple("select 1"))},
	"in, wrong end":  {say("Z", simple("begin")), say("G", simple(copyIn)), say("Z", pieces("10\n\\.\n11\n"), msgCopyDone), say("Z", simple("select count(*) from keyed"))},
	"fail":           {say("G", simple(copyIn)), say("Z", pieces("10\n"), copyFail("no more")), say("Z", simple("select count(*) from keyed"))},
	"fail at once":   {say("Z", simple("begin")), say("G", simple(copyIn)), say("Z", copyFail("nothing")), say("Z", simple("select 1")), say("Z", simple("rollback"))},
	"wrong row":      {say("G", simple(copyIn)), say("Z", pieces("ten\n")), say("", pieces("11\n", "12\n"), msgCopyDone), say("Z", simple("select count(*) from keyed"))},
	"wrong row, all": {say("GZ", simple(copyIn), pieces("ten\n", "11\n"), msgCopyDone), say("Z", simple("select count(*) from keyed"))},
	"wrong row, tx":  {say("Z", simple("begin")), say("G", simple(copyIn)), say("Z", pieces("ten\n")), say("", pieces("11\n"), msgCopyDone), say("Z", simple("select 1")), say("Z", simple("rollback"))},
	"duplicate":      {say("GZ", simple(copyIn), pieces("1\n"), msgCopyDone), say("Z", simple("select 1"))},
	"no such table":  {say("Z", simple("copy nothing from stdin")), say("", pieces("1\n"), msgCopyDone), say("Z", simple("select 1"))},
	"in one write":   {say("ZGZZ", simple("begin"), simple(copyIn), pieces("20\n"), msgCopyDone, simple("select count(*) from keyed"))},
	"two in a query": {say("Z", simple("begin")), say("G", simple(copyIn+"; select 'between'; "+copyIn)), say("G", pieces("10\n"), msgCopyDone), say("Z", pieces("11\n"), msgCopyDone)},
	"after a query":  {say("GZ", simple("begin; select 1; "+copyIn), pieces("10\n"), msgCopyDone), say("Z", simple("select count(*) from keyed"))},
	"flush in it":    {say("Z", simple("begin")), say("G", simple(copyIn)), say("", msgFlush, pieces("10\n"), msgFlush), say("Z", msgCopyDone)},
	"sync in it":     {say("Z", simple("begin")), say("G", simple(copyIn)), say("", msgSync), say("Z", pieces("10\n"), msgCopyDone), say("Z", simple("select 1")), say("Z", simple("rollback")), say("Z", simple("select 1"))},
	"sync before it": {say("G", simple(copyIn), msgSync), say("Z", copyFail("enough")), say("Z", simple("select 1")), say("Z", simple("select 2"))},

	"extended":             {say("Z", unnamed("begin")), say("G", ext(copyIn), msgFlush), say("Z", pieces("10\n"), msgCopyDone, msgSync), say("Z", unnamed("select count(*) from keyed"))},
	"extended, synced":     {say("Z", unnamed("begin")), say("G", ext(copyIn), msgSync), say("Z", pieces("10\n"), msgCopyDone, msgSync), say("Z", unnamed("select count(*) from keyed"))},
	"extended, as drivers": {say("ZG", unnamed("begin"), parse("", copyIn), describe('S', ""), bound("", ""), execute("", 0), msgSync), say("Z", pieces("10\n"), msgCopyDone, msgSync), say("Z", unnamed("select count(*) from keyed"))},
	"extended, one write":  {say("ZGZZ", unnamed("begin"), ext(copyIn), pieces("10\n", "11\n"), msgCopyDone, msgSync, unnamed("select count(*) from keyed"))},
	"extended, synced too": {say("ZGZZ", unnamed("begin"), ext(copyIn), msgSync, pieces("10\n", "11\n"), msgCopyDone, msgSync, unnamed("select count(*) from keyed"))},
	"extended, fail":       {say("G", ext(copyIn), msgFlush), say("E", pieces("10\n"), copyFail("no more")), say("Z", msgSync), say("Z", unnamed("select count(*) from keyed"))},
	"extended, wrong row":  {say("G", ext(copyIn), msgFlush), say("E", pieces("ten\n")), say("Z", pieces("11\n"), msgCopyDone, msgSync), say("Z", unnamed("select count(*) from keyed"))},
	"extended, no table":   {say("Z", ext("copy nothing from stdin"), msgSync), say("Z", pieces("1\n"), msgCopyDone, msgSync), say("Z", unnamed("select 1"))},
	"extended, more after": {say("Z", unnamed("begin")), say("G", ext(copyIn), msgFlush), say("CZ", pieces("10\n"), msgCopyDone, ext("select count(*) from keyed"), msgSync)},
	"extended, autocommit": {say("GZ", ext(copyIn), pieces("1\n"), msgCopyDone, msgSync), say("GZ", ext(copyIn), pieces("1\n"), msgCopyDone, msgSync), say("Z", unnamed("select count(*) from keyed"))},

	"out":              {say("Z", simple(copyOut)), say("Z", unnamed(copyOut)), say("ZZZ", simple(copyOut), unnamed(copyOut), simple("select 1"))},
	"out, big":         {say("Z", simple(copyBig)), say("Z", unnamed(copyBig))},
	"out, failing":     {say("Z", simple("copy (select 1 / (2 - g) from generate_series(1, 3) g) to stdout")), say("Z", simple("select 1"))},
	"out, in block":    {say("ZZZ", simple("begin"), simple(copyOut), simple("commit"))},
	"data out of turn": {say("", pieces("1\n"), msgCopyDone, copyFail("x")), say("Z", simple("begin")), say("", pieces("1\n"), msgCopyDone, copyFail("x")), say("Z", simple("select 1")), say("", pieces("1\n"), msgCopyDone, copyFail("x")), say("Z", simple("commit"))},
	"with notice":      {say("G", simple("select shout('hey'); "+copyIn)), say("Z", copyFail("x"))},
}

func TestCopy(t *testing.T) {
	g := narrow(t, 1, nil)
	for name, steps := range copies {
		t.Run(name, func(t *testing.T) {
			same(t, g, steps...)
			g.atRest(t)
		})
	}
}

func TestCopyByteForByte(t *testing.T) {
	g := narrow(t, 1, nil)
	for name, steps := range copies {
		t.Run(name, func(t *testing.T) {
			var slow []step
			for _, s := range steps {
				s.each = 1
				slow = append(slow, s)
			}
			same(t, g, slow...)
			g.atRest(t)
		})
	}
}

// Data of a COPY that has failed may still be coming when the client has its error; whoever gets the server next, or
// keeps it, must not notice.
func TestCopyDataAfterError(t *testing.T) {
	lots := strings.Repeat("eleven\n", 64<<10/7)
	late := func(end ...[]byte) []byte {
		out := pieces(lots, lots, lots, lots)
		for _, e := range end {
			out = append(out, e...)
		}
		return out
	}
	g := narrow(t, 1, nil)
	for name, steps := range map[string][]step{
		"simple":         {say("Z", simple(copyIn), pieces("ten\n")), say("", late(msgCopyDone)), say("Z", simple("select 1"))},
		"simple, tx":     {say("Z", simple("begin")), say("Z", simple(copyIn), pieces("ten\n")), say("", late(msgCopyDone)), say("Z", simple("select 1")), say("Z", simple("rollback")), say("Z", simple("select 1"))},
		"simple, pinned": {say("Z", simple("listen pinned")), say("Z", simple(copyIn), pieces("ten\n")), say("", late(copyFail("so what"))), say("Z", simple("show work_mem"))},
		"extended":       {say("E", ext(copyIn), msgFlush, pieces("ten\n")), say("Z", late(msgCopyDone, msgSync)), say("Z", unnamed("select 1"))},
		"all at once":    {say("EZZ", ext(copyIn), pieces("ten\n"), late(msgCopyDone, msgSync), simple("select 1"))},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, g, steps...)
			g.atRest(t)
		})
	}
}

// Copy data that nobody waits for costs nobody a run token.
func TestStrayCopyDataTakesNoRunToken(t *testing.T) {
	g := narrow(t, 1, nil)
	for name, first := range map[string]string{"pinned": "listen pinned", "in a transaction": "begin; select 1"} {
		t.Run(name, func(t *testing.T) {
			p, _ := enter(t, g.addr)
			p.ask(first)
			for _, stray := range [][]byte{pieces("1\n"), msgCopyDone, copyFail("x"), msgFlush, pieces(strings.Repeat("1\n", 32<<10))} {
				p.write(stray)
			}
			p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z "+map[bool]string{true: "I", false: "T"}[name == "pinned"])
			p.write(pieces("1\n"))
			p.write(msgFlush)
			bytes := g.Stats().Bytes["in"]
			eventually(t, "read", func() bool { return g.Stats().Bytes["in"] >= bytes })
			p.write(msgFlush)
			eventually(t, "at rest", func() bool { return g.pool().Running == 0 })
			p.leave()
			g.atRest(t)
		})
	}
}

// A row of a COPY that is longer than every buffer, and a COPY of many, pass both ways unchanged.
func TestCopyOfLongRows(t *testing.T) {
	g := narrow(t, 1, nil)
	row := strings.Repeat("long ", 1<<20)
	same(t, g,
		say("Z", simple("begin; create temp table t (a text) on commit drop")),
		say("G", simple("copy t from stdin")),
		step{send: append(pieces(row+"\n", "short\n", row+"\n"), msgCopyDone...), until: "Z", each: 100_000},
		say("Z", simple("select count(*), sum(length(a)), min(md5(a)), max(md5(a)) from t")),
		say("Z", simple("copy t to stdout")),
		say("Z", simple("copy t to stdout (format binary)")),
		say("Z", simple("rollback")),
	)
}

// A server that answers before it has the whole of a message is asked all the same what the transaction has left.
func TestSettingBeforeALongMessageIsNotLost(t *testing.T) {
	g := narrow(t, 1, nil)
	a, _ := enter(t, g.addr)
	long := copyData(strings.Repeat("x", 4*sock.BufferSize))
	for _, set := range [][]byte{simple("set work_mem = '21MB'"), unnamed("set work_mem = '22MB'")} {
		a.write(append(append([]byte(nil), set...), long[:2*sock.BufferSize]...))
		a.read("Z")
		a.write(long[2*sock.BufferSize:])
		b, _ := enter(t, g.addr)
		b.expect("show work_mem", "T work_mem:25:0; D 4MB; C SHOW; Z I")
		b.leave()
	}
	a.lines()
	a.expect("show work_mem", "T work_mem:25:0; D 22MB; C SHOW; Z I")
}
