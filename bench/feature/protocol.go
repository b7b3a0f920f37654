package feature

import (
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

var protocol = group("protocol",
	named("connection goes on after errors", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.fails("SELECT 1 / 0", "22012")
			t.refused("Parse", c.say(parse("", "SELEC"), syncUp()), "42601")
			c.run("BEGIN")
			c.fails("SELECT 1 / 0", "22012")
			c.fails("SELECT 1", "25P02")
			c.run("ROLLBACK")
			c.is("SELECT 1", "1")
		})
	}),
	Feature{Name: "connection kept when the queue is too long", try: refusedKept, alone: true},
	named("Execute with a row limit", func(t *trial) {
		c := t.client()
		c.prepare("s1", "SELECT generate_series(1, 5)")
		t.often(func() {
			a := c.runs(bindPortal("p", "s1"), executeRows("p", 2), executeRows("p", 2), executeRows("p", 2), syncUp())
			t.same("messages", a.types, "2DDsDDsDC")
			t.same("rows", a.text(), "1,2,3,4,5")
		})
	}),
	named("portal over several Syncs of a transaction", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.run("BEGIN")
			t.same("first", c.runs(parse("", "SELECT generate_series(1, 3)"), bindPortal("p", ""), executeRows("p", 2), syncUp()).text(), "1,2")
			t.same("second", c.runs(executeRows("p", 2), syncUp()).text(), "3")
			c.run("COMMIT")
			t.refused("after COMMIT", c.say(executeRows("p", 2), syncUp()), "34000")
		})
	}),
	named("pipeline read by Flush", func(t *trial) {
		c := t.client()
		t.often(func() {
			t.same("described", c.fine(c.sayUntil("TE", parse("s1", "SELECT $1::int"), describe("s1"), flush())).types, "1tT")
			t.same("row", c.fine(c.sayUntil("CE", bind("s1", "7"), execute(), flush())).text(), "7")
			t.same("row", c.fine(c.sayUntil("CE", bind("s1", "8"), execute(), flush())).text(), "8")
			c.runs(forget("s1"), syncUp())
		})
	}),
	named("several statements in one query, BEGIN and COMMIT inside", func(t *trial) {
		c := t.client()
		for i := range rounds {
			a := c.run(fmt.Sprintf("BEGIN; INSERT INTO feature_multi VALUES (%d); COMMIT; SELECT count(*) FROM feature_multi; BEGIN", i))
			t.same("tags", fmt.Sprint(a.tags), "[BEGIN INSERT 0 1 COMMIT SELECT 1 BEGIN]")
			t.same("count", a.text(), fmt.Sprint(i+1))
			c.inStatus('T')
			c.run("ROLLBACK")
		}
	}),
	named("COPY in and out", func(t *trial) {
		c := t.client()
		t.often(func() {
			c.run("TRUNCATE feature_copy")
			a := c.copyIn(query("COPY feature_copy FROM STDIN"), "1\tone\n", "2\ttwo\n")
			t.same("tags", fmt.Sprint(c.fine(a).tags), "[COPY 2]")
			a = c.run("COPY (SELECT * FROM feature_copy ORDER BY id) TO STDOUT")
			t.same("data", fmt.Sprintf("%q", a.data), `["1\tone\n" "2\ttwo\n"]`)
		})
	}),
	named("COPY that fails, simple and extended", copyErrors),
	named("cancel reaches the own statement only", cancelOwn),
	named("protocol 3.2, cancel with its key", func(t *trial) {
		c := t.clientOf(pgproto3.ProtocolVersion32, nil)
		if !c.dead() && t.version >= 180000 {
			t.check(c.conn.minor == 2, "negotiated down to 3.%d", c.conn.minor)
			t.check(len(c.conn.key) > 4, "a cancel key of %d bytes", len(c.conn.key))
		}
		c.cancelled()
	}),
)

// refusedKept holds every server that a pooler has, for longer than its queue lets a client wait. The client may be served or
// refused, but not thrown out. A server without a pooler serves it.
func refusedKept(t *trial) {
	c := t.client()
	c.is("SELECT 1", "1")
	var held []*client
	for range Servers {
		h := t.client()
		h.run("BEGIN")
		h.run("SELECT count(*) FROM feature_rows")
		held = append(held, h)
	}
	a := c.try("SELECT 2")
	if a.err != nil {
		t.check(a.err.Severity == "ERROR", "%s", wrong(a.err))
		c.inStatus('I')
	}
	for _, h := range held {
		h.run("COMMIT")
	}
	c.is("SELECT 3", "3")
}

// inStatus fails unless the last ReadyForQuery had the status.
func (c *client) inStatus(want byte) {
	if !c.dead() {
		c.t.same("status", string(c.conn.status), string(want))
	}
}

// copyIn begins a COPY with the messages' help and sends the lines and CopyDone.
func (c *client) copyIn(begin pgproto3.FrontendMessage, lines ...string) *answer {
	a := c.sayUntil("GZ", begin)
	if a.err != nil {
		return a
	}
	var data []pgproto3.FrontendMessage
	for _, l := range lines {
		data = append(data, &pgproto3.CopyData{Data: []byte(l)})
	}
	return c.sayUntil("Z", append(data, &pgproto3.CopyDone{})...)
}

// copyErrors ends COPY in the ways that have upset poolers, and uses the connection after each.
func copyErrors(t *trial) {
	c := t.client()
	c.prepare("in", "COPY feature_copy FROM STDIN")
	t.often(func() {
		c.run("TRUNCATE feature_copy")
		t.refused("bad line", c.copyIn(query("COPY feature_copy FROM STDIN"), "x\tone\n", "2\ttwo\n"), "22P02")
		c.inStatus('I')
		c.fine(c.sayUntil("GE", query("COPY feature_copy FROM STDIN")))
		t.refused("CopyFail", c.say(&pgproto3.CopyFail{Message: "no"}), "57014")
		c.fine(c.sayUntil("GE", bind("in"), execute(), flush()))
		t.refused("CopyFail, extended", c.say(&pgproto3.CopyFail{Message: "no"}, syncUp()), "57014")
		c.fine(c.sayUntil("GE", bind("in"), execute(), flush()))
		t.refused("bad line, extended", c.say(&pgproto3.CopyData{Data: []byte("x\n")}, &pgproto3.CopyDone{}, syncUp()), "22P02")
		// The server ignores a Sync in COPY and answers the one after CopyDone.
		c.fine(c.sayUntil("GE", bind("in"), execute(), syncUp()))
		a := c.fine(c.sayUntil("Z", &pgproto3.CopyData{Data: []byte("1\tone\n")}, &pgproto3.CopyDone{}, syncUp()))
		t.same("tags", fmt.Sprint(a.tags), "[COPY 1]")
		c.is("SELECT count(*) FROM feature_copy", "1")
		t.refused("COPY TO", c.try("COPY (SELECT 1 / (id - 1) FROM feature_copy) TO STDOUT"), "22012")
		c.is("SELECT 1", "1")
	})
}

// cancelOwn cancels one client's sleep while another client sleeps, and uses both again.
func cancelOwn(t *trial) {
	a, b := t.client(), t.client()
	for range 3 {
		if b.dead() {
			return
		}
		if err := b.conn.send(query("SELECT pg_sleep(0.3), 'b'")); err != nil {
			t.fail("%s", reason(err))
		}
		a.cancelled()
		answer, err := b.conn.receive()
		if err != nil {
			t.fail("the other client: %s", reason(err))
			return
		}
		b.fine(answer)
	}
	t.often(func() {
		a.is("SELECT 1", "1")
		b.is("SELECT 1", "1")
	})
}

// cancelled starts a long statement, cancels it and wants 57014. A cancel request that comes before the statement began does
// nothing, so it is sent again.
func (c *client) cancelled() {
	if c.dead() {
		return
	}
	if err := c.conn.send(query("SELECT pg_sleep(60)")); err != nil {
		c.t.fail("%s", reason(err))
		return
	}
	done := make(chan struct{})
	gone := make(chan struct{})
	conn := c.conn
	go func() {
		defer close(gone)
		for {
			conn.cancel()
			select {
			case <-done:
				return
			case <-time.After(cancelEvery):
			}
		}
	}()
	a, err := conn.receive()
	close(done)
	<-gone
	if err != nil {
		c.t.fail("cancel: %s", reason(err))
		return
	}
	c.t.refused("cancel", a, "57014")
	c.is("SELECT 1", "1")
}

// cancelEvery is the distance of cancel requests for one statement: long enough for one to have its effect.
const cancelEvery = 200 * time.Millisecond

// cancel sends one cancel request for what the connection does. Nobody answers it.
func (c *conn) cancel() {
	nc, err := net.DialTimeout("tcp", c.net.RemoteAddr().String(), answerWait)
	if err != nil {
		return
	}
	defer nc.Close()
	b, err := (&pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key}).Encode(nil)
	if err != nil {
		return
	}
	_ = nc.SetDeadline(time.Now().Add(answerWait)) // a fresh socket takes a deadline
	if _, err = nc.Write(b); err == nil {
		_, _ = nc.Read(make([]byte, 1)) // PostgreSQL closes once it has passed the request on
	}
}
