package difference

import (
	"encoding/binary"
	"fmt"
	"math"
)

func int4(n int32) arg {
	return arg{binary: true, value: string(binary.BigEndian.AppendUint32(nil, uint32(n)))}
}

func float8(f float64) arg {
	return arg{binary: true, value: string(binary.BigEndian.AppendUint64(nil, math.Float64bits(f)))}
}

func texts(values ...string) (args []arg) {
	for _, v := range values {
		args = append(args, arg{value: v})
	}
	return args
}

// call is a FunctionCall, mostly a sensible one. The large objects are as libpq uses them.
func (g *generator) call() message {
	k := g.pick(keys...)
	calls := []message{
		call("int4abs(integer)", int4(-4)), call("int4abs(integer)", texts("-5")...), call("int4pl(integer,integer)", int4(2), int4(3)),
		call("int4div(integer,integer)", int4(1), int4(0)), call("int4div(integer,integer)", texts("6", "x")...), call("int4pl(integer,integer)", int4(2)),
		call("setseed(double precision)", float8(0.5)), call("setseed(double precision)", float8(2)), call("upper(text)", texts("é")...),
		call("upper(text)", arg{null: true}), call("nosuch(integer)", int4(1)), call("upper(text)", arg{value: g.filler()}),
		call("pg_catalog.set_config(text,text,boolean)", texts("work_mem", g.pick("5MB", "6MB", "bogus"), g.pick("t", "f"))...),
		call("pg_catalog.set_config(text,text,boolean)", texts("app.x", "called", "f")...),
		call("w.put(text,text)", texts("timezone", "Asia/Tokyo")...), call("w.put_and_fail(text,text)", texts("work_mem", "7MB")...),
		call("pg_advisory_lock(bigint)", texts(k)...), call("pg_advisory_unlock(bigint)", texts(k)...), call("pg_advisory_unlock_all()"),
		call("pg_try_advisory_xact_lock(bigint)", texts(k)...), call("pg_notify(text,text)", texts("ch", "by message")...),
		call("nextval(regclass)", texts("w.s1")...), call("currval(regclass)", texts("w.s1")...), call("lastval()"),
		call("w.say(text)", texts("by message")...), call("w.warn(text)", texts("by message")...), call("w.scratch()"), call("w.take(integer)", int4(3)),
		call("w.tuned()"), call("lo_create(oid)", texts("4711")...), call("lo_open(oid,integer)", texts("4711", "393216")...),
		call("lowrite(integer,bytea)", int4(0), arg{binary: true, value: "large"}), call("loread(integer,integer)", int4(0), int4(3)),
		call("lo_lseek(integer,integer,integer)", int4(0), int4(0), int4(0)), call("lo_close(integer)", int4(0)), call("lo_unlink(oid)", texts("4711")...),
	}
	if g.one(3) {
		g.went++
		calls = []message{call("w.adds(integer)", texts(fmt.Sprint(g.went))...), call("w.fails(integer)", texts(fmt.Sprint(g.went))...)}
	}
	m := calls[g.r.IntN(len(calls))]
	if g.one(2) {
		m.formats = []int16{1}
	}
	return m
}

// calls adds FunctionCalls: alone, behind a batch without its Sync, or beside a query.
func (g *generator) calls() {
	st := step{kind: client}
	for range 1 + g.r.IntN(3) {
		switch g.r.IntN(6) {
		case 0:
			st.messages = append(st.messages, g.batch()...)
		case 1:
			st.messages = append(st.messages, append(g.batch(), flush)...)
		case 2:
			st.messages = append(st.messages, query(g.text()))
		}
		st.messages = append(st.messages, g.call())
	}
	if g.one(3) {
		st.messages = append(st.messages, sync)
	}
	g.steps = append(g.steps, st)
	if g.one(3) {
		g.steps = append(g.steps, simple("table w.went"))
	}
	if g.one(4) { // a large object is open until its transaction ends
		g.steps = append(g.steps, simple("begin"), step{kind: client, messages: []message{call("lo_create(oid)", texts("4711")...),
			call("lo_open(oid,integer)", texts("4711", "393216")...), call("lowrite(integer,bytea)", int4(0), arg{value: g.filler()})}},
			g.neighbour(), step{kind: client, messages: []message{g.call(), query(g.pick("commit", "rollback")), call("loread(integer,integer)", int4(0), int4(3))}},
			simple("select lo_get(4711)"), simple("select lo_unlink(4711)"))
		g.inTx = false
	}
}
