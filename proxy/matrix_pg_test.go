//go:build pg

package proxy

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// The matrices try every kind of session with everything that it may do, and hold what it sees and what is in the table
// after it against a direct connection.

// kept is a kind of session: what it has in a server, or has begun, when it does what is tried.
type kept struct {
	name  string
	begin []step   // before its statements are prepared
	state []step   // after that
	end   string   // the query that ends what it has begun; empty: it has begun nothing
	open  bool     // its statements meet no pressure: they run, or fail as on a direct connection
	fails bool     // they fail
	mode  PoolMode // of the guard
}

var keeps = []kept{
	{name: "free"},
	{name: "pinned by a table", begin: queries("create temp table mine (a int)")},
	{name: "pinned by a lock", begin: queries("select pg_advisory_lock_shared(4711)")},
	{name: "pinned by LISTEN", begin: queries("listen here")},
	{name: "kept for a statement", state: []step{say("Z", parse("", "select 'kept' /* "+strings.Repeat("k", 20<<10)+" */"), msgSync)}},
	{name: "session mode", mode: PoolModeSession, begin: queries("select 1")},
	{name: "session mode, no server yet", mode: PoolModeSession},
	{name: "in a transaction", state: queries("begin", "select 1"), end: "commit", open: true},
	{name: "in a transaction that has failed", state: queries("begin", "select 1/0"), end: "rollback", open: true, fails: true},
	{name: "BEGIN deferred", state: queries("begin"), end: "rollback"},
	{name: "BEGIN deferred, in a batch", state: batches("begin"), end: "rollback"},
	{name: "in a batch", state: []step{say("C", ext("select 1"), msgFlush)}, open: true},
	{name: "in a batch, at a Parse", state: []step{say("1", parse("", "select 1"), msgFlush)}, open: true},
}

// bare is true for kinds of session that have nothing in a server, nor will have before they do what is tried.
func (k kept) bare() bool { return k.name == "session mode, no server yet" }

// enter logs in a session of the kind. A guard that lets nobody wait for long may refuse what sets it up where the machine is
// slow to open servers: then it is tried again.
func (k kept) enter(t *testing.T, addr, id string) *speaker {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		p, _ := enter(t, addr)
		bad := k.set(p, id)
		switch {
		case bad == "":
			return p
		case !strings.Contains(bad, "C53300") || time.Now().After(end):
			t.Fatalf("%s: %s", k.name, bad)
		}
		_ = p.nc.Close()
	}
}

// set brings the session of p into its state, and returns the error that should not be, if any.
func (k kept) set(p *speaker, id string) (bad string) {
	p.t.Helper()
	steps := slices.Clone(k.begin)
	if !k.bare() {
		steps = append(steps, say("Z", parse("before", inserting(id+"#before")), msgSync), say("Z", parse("", inserting(id+"#old")), msgSync))
	}
	for _, s := range append(steps, k.state...) {
		p.write(s.send)
		for _, typ := range s.until {
			if !p.hears(byte(typ), 1, time.Now().Add(patience)) || p.heard('E') > 0 {
				break
			}
		}
		for _, l := range p.lines() {
			if l[0] == 'E' && !(k.fails && strings.Contains(l, "C22012")) {
				return l
			}
		}
	}
	return ""
}

// inserting is a statement that inserts one row.
func inserting(id string) string { return "insert into asked values ('" + id + "')" }

// askedTable makes an empty table of rows, asked.
func askedTable(t *testing.T, c *pgtest.Cluster) (admin *caller) {
	t.Helper()
	admin = direct(t, c)
	for _, text := range []string{
		"drop table if exists asked cascade", "create table asked (id text)",
		"create or replace function asks(text) returns int language sql as 'insert into asked values ($1) returning 1'",
	} {
		admin.want(t, admin.query, text, "", 'I')
	}
	return admin
}

// calling is a FunctionCall with a text for its argument.
func calling(oid uint32, arg string) []byte { return callingWith(oid, arg) }

// callingWith is a FunctionCall with texts for its arguments, and for its result.
func callingWith(oid uint32, args ...string) []byte {
	body := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(nil, oid), 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(args)))
	for _, a := range args {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(a))), a...)
	}
	return appendMessage(nil, wire.FunctionCall, string(append(body, 0, 0)))
}

// rows is how often each id is in the table.
func rows(t *testing.T, admin *caller) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, id := range admin.want(t, admin.query, "select id from asked", "", 'I').rows {
		out[id]++
	}
	return out
}

// under are the rows of one prefix, without it.
func under(all map[string]int, prefix string) string {
	out := map[string]int{}
	for id, n := range all {
		if rest, ok := strings.CutPrefix(id, prefix+"#"); ok {
			out[rest] = n
		}
	}
	return fmt.Sprint(out)
}

// hears reads until n messages of the type have come, or it is late; false: fewer came.
func (p *speaker) hears(typ byte, n int, late time.Time) bool {
	for n > 0 && !p.over && len(p.said) < tooMuch {
		_ = p.nc.SetReadDeadline(late)
		if _, err := p.r.Peek(wire.HeaderSize); err != nil && !p.ended(err) {
			return false
		}
		got, body := p.message()
		if p.over {
			return false
		}
		p.said = append(p.said, p.line(got, body))
		if got == typ {
			n--
		}
	}
	return n <= 0
}

// calm is how long many clients may be waited for in all that get no answer: far more than any takes, and no more for many
// that never come.
type calm time.Duration

// until is when the next wait ends.
func (c calm) until() time.Time { return time.Now().Add(max(time.Duration(c), 100*time.Millisecond)) }

// hears is p.hears, bounded by what is left.
func (c *calm) hears(p *speaker, typ byte, n int) bool {
	start := time.Now()
	ok := p.hears(typ, n, c.until())
	if !ok {
		*c -= calm(time.Since(start))
	}
	return ok
}

// tooMuch is more than anything that is tried is answered with.
const tooMuch = 1000

// follow is play, but that it gives up when nothing comes for a while.
func (p *speaker) follow(steps []step) []string {
	p.t.Helper()
	for i, s := range steps {
		p.said = append(p.said, fmt.Sprintf("-- %d", i))
		p.write(s.send)
		for _, typ := range s.until {
			if !p.hears(byte(typ), 1, time.Now().Add(2*time.Second)) {
				p.said = append(p.said, "(silence)")
				return p.lines()
			}
		}
	}
	return p.lines()
}

// ended is true if err is the end of the connection.
func (p *speaker) ended(err error) bool {
	e, ok := err.(interface{ Timeout() bool })
	return !ok || !e.Timeout()
}

// heard is how many messages of the type have come since the lines were taken last.
func (p *speaker) heard(typ byte) int {
	n := 0
	for _, l := range p.said {
		if l[0] == typ {
			n++
		}
	}
	return n
}
