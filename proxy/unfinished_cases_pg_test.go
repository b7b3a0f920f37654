//go:build pg

package proxy

import (
	"fmt"
	"strings"

	"pgguard/proxy/wire"
)

// torso is something that a client begins and does not finish. Its rows have ids that start with its own.
type torso struct {
	name  string
	steps []step
	rest  []byte // what would finish it
	own   bool   // the guard need not have sent any of it
	gone  bool   // its answers are not read: a client that resets the connection may take it back
	half  bool   // it ends in the middle of a message
}

// torsos are all of them; oid is the function asks.
func torsos(id string, oid uint32) []torso {
	n := 0
	next := func() string { n++; return fmt.Sprint(id, "#", n) }
	row := func() string { return inserting(next()) }
	run := func() []byte { return append(ext(row()), msgSync...) }
	out := []torso{
		{name: "nothing", own: true},
		{name: "whole query", steps: []step{say("Z", simple(row()))}},
		{name: "whole query, not read", steps: []step{say("", simple(row()))}, gone: true},
		{name: "whole batch", steps: []step{say("Z", run())}},
		{name: "whole batch, not read", steps: []step{say("", run())}, gone: true},
		{name: "whole function call", steps: []step{say("Z", calling(oid, next()))}},
		{name: "batch, not read", steps: []step{say("", ext(row()))}, rest: msgSync, own: true},
		{name: "batch", steps: []step{say("C", ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch of a Parse", steps: []step{say("1", parse("", row()), msgFlush)}, rest: say("", bound("", ""), execute("", 0), msgSync).send},
		{name: "batch of a Bind", steps: []step{say("2", parse("", row()), bound("", ""), msgFlush)}, rest: say("", execute("", 0), msgSync).send},
		{name: "batch of two", steps: []step{say("CC", ext(row()), ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch of two, one after the other", steps: []step{say("C", ext(row()), msgFlush), say("C", ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch of a name", steps: []step{say("C", parse("mine", row()), bound("p", "mine"), execute("p", 0), msgFlush)}, rest: msgSync},
		{name: "batch of a name from before", steps: []step{say("C", bound("", "before"), execute("", 0), msgFlush)}, rest: msgSync},
		{name: "batch behind another", steps: []step{say("Z", run()), say("C", ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch behind another, not read", steps: []step{say("", run(), ext(row()))}, rest: msgSync, gone: true},
		{name: "batch behind two, in one write", steps: []step{say("ZZC", run(), run(), ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch behind a query", steps: []step{say("ZC", simple(row()), ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch ended by a query", steps: []step{say("CZ", ext(row()), simple(row()))}, rest: msgSync},
		{name: "batch ended by a query, then a batch", steps: []step{say("CZC", ext(row()), simple(row()), ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch that has failed", steps: []step{say("CE", ext(row()), ext("select 1/0"), msgFlush), say("", ext(row()))}, rest: msgSync},
		{name: "batch that has failed, then a query", steps: []step{say("CE", ext(row()), ext("select 1/0"), msgFlush), say("", simple(row()))}, rest: msgSync},
		{name: "batch with a COMMIT", steps: []step{say("CCC", ext(row()), ext("commit"), ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch with a block", steps: []step{say("CCC", ext("begin"), ext(row()), ext("commit"), msgFlush)}, rest: msgSync},
		{name: "batch with a block, then more", steps: []step{say("CCCC", ext("begin"), ext(row()), ext("commit"), ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch with a BEGIN", steps: []step{say("CC", ext("begin"), ext(row()), msgFlush)}, rest: msgSync},
		{name: "batch with a ROLLBACK", steps: []step{say("CCC", ext(row()), ext("rollback"), ext(row()), msgFlush)}, rest: msgSync},
		{name: "block", steps: queries("begin", row()), rest: simple("commit")},
		{name: "block of batches", steps: append(batches("begin"), say("Z", run())), rest: simple("commit")},
		{name: "block in one query", steps: queries("begin; " + row()), rest: simple("commit")},
		{name: "block in one write", steps: []step{say("ZZ", simple("begin"), simple(row()))}, rest: simple("commit")},
		{name: "block, its COMMIT without a Sync", steps: []step{say("ZZ", simple("begin"), simple(row())), say("C", ext("commit"), msgFlush)}, rest: msgSync},
		{name: "block that is chained", steps: queries("begin", row(), "commit and chain", row()), rest: simple("commit")},
	}
	return append(append(out, copyTorsos(next)...), halfTorsos(next, oid)...)
}

// copyTorsos are unfinished COPYs.
func copyTorsos(next func() string) []torso {
	in := "copy asked from stdin"
	data := func() []byte { return copyData(next() + "\n") }
	end := say("", msgCopyDone, msgSync).send
	lots := strings.Repeat("x", 70<<10) + "\n"
	return []torso{
		{name: "COPY", steps: []step{say("G", simple(in))}, rest: msgCopyDone},
		{name: "COPY, data", steps: []step{say("G", simple(in)), say("", data(), data())}, rest: msgCopyDone},
		{name: "COPY, data in the same write", steps: []step{say("G", simple(in), data())}, rest: msgCopyDone},
		{name: "COPY, half of the data", steps: []step{say("G", simple(in)), say("", data(), data()[:8])}, rest: []byte("x\n"), half: true},
		{name: "COPY, half of 70 KiB", steps: []step{say("G", simple(in)), say("", data(), copyData(next() + "\n" + lots)[:30<<10])}, half: true},
		{name: "COPY, half of its end", steps: []step{say("G", simple(in)), say("", data(), msgCopyDone[:3])}, rest: msgCopyDone[3:], half: true},
		{name: "COPY that was given up", steps: []step{say("GE", simple(in), data(), copyFail("so what"))}},
		{name: "COPY that is done", steps: []step{say("GZ", simple(in), data(), msgCopyDone)}},
		{name: "COPY, then a statement", steps: []step{say("G", simple(in+"; "+inserting(next()))), say("", data())}, rest: msgCopyDone},
		{name: "COPY after a statement", steps: []step{say("G", simple(inserting(next())+"; "+in)), say("", data())}, rest: msgCopyDone},
		{name: "COPY in a batch", steps: []step{say("G", ext(in), msgFlush)}, rest: end},
		{name: "COPY in a batch, data", steps: []step{say("G", ext(in), msgFlush), say("", data())}, rest: end},
		{name: "COPY in a batch, its end", steps: []step{say("G", ext(in), msgFlush), say("C", data(), msgCopyDone, msgFlush)}, rest: msgSync},
		{name: "COPY in a batch, its end not read", steps: []step{say("G", ext(in), msgFlush), say("", data(), msgCopyDone)}, rest: msgSync},
		{name: "COPY in a batch with a Sync", steps: []step{say("G", ext(in), msgSync), say("", data())}, rest: end},
		{name: "COPY in a batch with a Sync, its end", steps: []step{say("G", ext(in), msgSync), say("C", data(), msgCopyDone, msgFlush)}, rest: msgSync},
		{name: "COPY in a batch with a Sync, its end not read", steps: []step{say("G", ext(in), msgSync), say("", data(), msgCopyDone)}, rest: msgSync},
		{name: "COPY in a batch, in one write", steps: []step{say("GC", ext(in), data(), msgCopyDone, msgFlush)}, rest: msgSync},
		{name: "COPY in a batch, half of its Sync", steps: []step{say("GC", ext(in), data(), msgCopyDone, msgFlush), say("", msgSync[:2])}, rest: msgSync[2:], half: true},
		{name: "COPY in a batch behind an insert", steps: []step{say("CG", ext(inserting(next())), ext(in), msgFlush), say("C", data(), msgCopyDone, msgFlush)}, rest: msgSync},
	}
}

// halfTorsos end in the middle of a message: alone, and behind a batch that has been answered.
func halfTorsos(next func() string, oid uint32) []torso {
	row := func() string { return inserting(next()) }
	pad := func(size int) string { return strings.Repeat(" ", size) }
	run := say("", bound("", ""), execute("", 0), msgSync).send
	nul := simple(row() + "\x00" + pad(70<<10))
	var out []torso
	for _, c := range []struct {
		name  string
		whole []byte
		n     int // bytes of it
		rest  []byte
	}{
		{"the first byte of a Sync", msgSync, 1, nil},
		{"two bytes of a Sync", msgSync, 2, nil},
		{"four bytes of a Sync", msgSync, 4, nil},
		{"half a Terminate", wire.AppendEmpty(nil, wire.Terminate), 3, nil},
		{"half a query", simple(row()), 20, nil},
		{"all of a query but its end", simple(row() + ";"), len(row()) + 5, nil},
		{"all of a query but its NUL", simple(row()), len(row()) + 5, nil},
		{"half a query of 15 KiB", simple(row() + ";" + pad(15<<10)), 10 << 10, nil},
		{"18 KiB of a query of 20", simple(row() + ";" + pad(20<<10)), 18 << 10, nil},
		{"16 KiB of a query of 20", simple(row() + ";" + pad(20<<10)), 16 << 10, nil},
		{"half a query of 70 KiB", simple(row() + ";" + pad(70<<10)), 40 << 10, nil},
		{"half a query of 70 KiB in a comment", simple(row() + " -- " + pad(70<<10)), 40 << 10, nil},
		{"half a query of 70 KiB with a NUL", nul, 40 << 10, nil},
		{"all of a query of 70 KiB but its NUL", simple(row() + ";" + pad(70<<10)), len(row()) + 70<<10 + 6, nil},
		{"half a query of 3 MiB", simple(row() + ";" + pad(3<<20)), 1 << 20, nil},
		{"half a Parse", parse("", row()), 20, run},
		{"half a Parse of 70 KiB", parse("", row()+";"+pad(70<<10)), 40 << 10, run},
		{"half a Bind", bound("", "before", "x"), 9, run[len(run)-len(msgSync)-10:]},
		{"half a Bind of 70 KiB", bound("", "before", pad(70<<10)), 40 << 10, run[len(run)-len(msgSync)-10:]},
		{"half a Describe", describe('P', ""), 6, msgSync},
		{"half an Execute", execute("", 0), 6, msgSync},
		{"half a Close", closes('S', "before"), 9, msgSync},
		{"half a Flush", msgFlush, 3, msgSync},
		{"half a function call", calling(oid, next()), 13, nil},
		{"half a function call of 20 KiB", calling(oid, next()+pad(20<<10)), 18 << 10, nil},
	} {
		rest := append(append([]byte(nil), c.whole[c.n:]...), c.rest...)
		behind := say("C", ext(row()), msgFlush)
		out = append(out, torso{name: c.name, steps: []step{say("", c.whole[:c.n])}, rest: rest, own: true, half: true},
			torso{name: c.name + " in a batch", steps: []step{behind, say("", c.whole[:c.n])}, rest: rest, half: true})
	}
	return out
}
