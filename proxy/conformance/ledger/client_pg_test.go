//go:build pg

package ledger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	gosync "sync"
	"time"

	"pgguard/proxy/wire"
)

// patience bounds the wait for an answer. It is far above what any takes: the longest wait of a guard, a start of
// PostgreSQL, and a statement of a tenth of a second, on a machine that is busy.
const patience = 40 * time.Second

// errOver is the end of a client's connection, whoever wanted it.
var errOver = errors.New("the connection is over")

// client is one application: it connects, writes rows in all forms, and leaves, again and again.
type client struct {
	*round
	name string
	door *door
	rnd  *rand.Rand

	book    []*attempt // the ledger
	chapter *chapter

	nc      net.Conn
	r       *bufio.Reader
	talk    *talk
	pid     uint32
	secret  []byte
	names   int // statements named so far
	pinned  bool
	sqlName bool // has a statement "p", prepared by SQL
	sleeps  bool // does nothing in the middle of transactions

	cancels gosync.WaitGroup
}

// chance is true with probability p.
func (c *client) chance(p float64) bool { return c.rnd.Float64() < p }

// upTo is a random time, for what happens between two messages.
func (c *client) upTo(d time.Duration) time.Duration {
	return time.Duration(c.rnd.Int64N(int64(d) + 1))
}

// begin begins a chapter.
func (c *client) begin(what string) {
	c.chapter = &chapter{before: c.chapter, client: c.name + " at " + c.door.String() + ": " + what, start: time.Now()}
}

func (c *client) note(format string, args ...any) { c.chapter.note(fmt.Sprintf(format, args...)) }

// wrong reports what is wrong by itself, whatever stands in the table.
func (c *client) wrong(kind, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.note("WRONG: %s: %s", kind, text)
	c.report(kind, text, c.chapter)
}

// live is the client's life.
func (c *client) live() {
	defer c.cancels.Wait()
	for !c.over() {
		c.begin("connects")
		if !c.connect() {
			c.pause(20 * time.Millisecond)
			continue
		}
		for n := 1 + c.rnd.IntN(30); n > 0 && !c.over(); n-- {
			if c.unit() != nil {
				break
			}
		}
		if c.talk != nil {
			_ = c.leave("", "it is done")
		}
	}
}

// pause lets up to d pass, or less if the round ends.
func (c *client) pause(d time.Duration) { c.wait(c.upTo(d)) }

// wait lets d pass, or less if the round ends.
func (c *client) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ends:
	}
}

// connect logs in, and answers false if it is not let in.
func (c *client) connect() bool {
	nc, err := net.DialTimeout("tcp", c.door.addr, patience)
	if err != nil {
		c.note("dial: %v", err)
		return false
	}
	c.nc, c.r, c.talk, c.pinned, c.sqlName = nc, bufio.NewReaderSize(nc, 32<<10), newTalk(), false, false
	body := binary.BigEndian.AppendUint32(nil, wire.Version30)
	user, more := "postgres", ""
	if c.chance(c.door.kinds) {
		user = "writer"
	}
	if c.chance(c.door.kinds) {
		more = "TimeZone\x00Asia/Tokyo\x00"
	}
	body = append(body, "user\x00"+user+"\x00database\x00postgres\x00application_name\x00"+c.name+"\x00"+more+"\x00"...)
	hello := append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
	if _, err := c.write(hello); err != nil {
		_ = c.gone(err)
		return false
	}
	for {
		typ, body, err := c.read()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.wrong("hang", "the login is not answered; %s", c.door.state())
			_ = c.leave("rst", "nothing comes")
			return false
		case err != nil:
			_ = c.gone(err)
			return false
		case typ == wire.BackendKeyData:
			c.pid, c.secret = binary.BigEndian.Uint32(body), body[4:]
		case typ == wire.ErrorResponse:
			if f, err := parseFailure(body); err == nil {
				c.count("login " + f.code)
				c.note("login: %s", f)
			}
		case typ == wire.ReadyForQuery:
			return true
		}
	}
}

func (c *client) write(b []byte) (int, error) {
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	return c.nc.Write(b)
}

// read reads one message whole.
func (c *client) read() (typ byte, body []byte, err error) {
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(c.r, body)
	return head[0], body, err
}

// send writes messages, in one write or a few, and leaves in the middle of them now and then.
func (c *client) send(messages ...*message) error {
	if c.talk == nil {
		return errOver
	}
	var b []byte
	var ends []int
	for _, m := range messages {
		b = append(b, m.bytes...)
		ends = append(ends, len(b))
		c.note("> %s", m.short)
	}
	cut := len(b)
	leaves := c.chance(c.door.leaves)
	if leaves {
		cut = c.rnd.IntN(len(b) + 1)
	}
	if c.chance(c.door.cancels) {
		c.cancelSoon()
	}
	n, err := c.writeApart(b[:cut])
	for i, m := range messages {
		if ends[i] > n {
			c.note("  cut at byte %d of %d: %s and what follows was not sent whole", n, len(b), m.short)
			if n > ends[i]-len(m.bytes) {
				c.talk.begin(m)
			}
			break
		}
		c.talk.say(m)
	}
	switch {
	case leaves:
		how := "" // a Terminate would be the rest of a message that was not sent whole
		if !slices.Contains(append(ends, 0), n) {
			how = []string{"fin", "half", "rst"}[c.rnd.IntN(3)]
		}
		return c.leave(how, "in the middle of sending")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.wrong("hang", "nobody reads what is sent; %s", c.door.state())
		return c.leave("rst", "nobody reads")
	case err != nil:
		c.note("write: %v", err)
		return c.drain()
	}
	return nil
}

// writeApart writes b in up to three pieces.
func (c *client) writeApart(b []byte) (n int, err error) {
	for pieces := 1 + max(0, c.rnd.IntN(6)-3); pieces > 0 && err == nil && n < len(b); pieces-- {
		next := len(b)
		if pieces > 1 {
			next = n + c.rnd.IntN(len(b)-n+1)
		}
		var k int
		k, err = c.write(b[n:next])
		n += k
		if pieces > 1 && c.chance(0.5) {
			c.pause(2 * time.Millisecond)
		}
	}
	return n, err
}

// settle reads until nothing is owed that would come by itself, and leaves before that now and then.
func (c *client) settle() error {
	if c.talk == nil {
		return errOver
	}
	left := -1
	if c.chance(c.door.leaves) {
		left = c.rnd.IntN(4)
	}
	for c.talk.waiting() {
		if left == 0 {
			return c.leave("", "before it has read all answers")
		}
		left--
		if err := c.hear(); err != nil {
			return err
		}
	}
	for c.r.Buffered() > 0 { // nothing more is owed; what came with the answers must be no answer
		if err := c.hear(); err != nil {
			return err
		}
	}
	return nil
}

// hear reads one message and enters it.
func (c *client) hear() error {
	typ, body, err := c.read()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.wrong("hang", "no answer for %s; %s", patience, c.door.state())
		return c.leave("rst", "nothing comes")
	}
	if err != nil {
		return c.gone(err)
	}
	c.noteAnswer(typ, body)
	if err := c.talk.hear(typ, body); err != nil {
		c.wrong("out of step", "%v", err)
		return c.leave("rst", "it is out of step")
	}
	for _, b := range c.talk.broken {
		c.wrong("rule", "%s", b)
	}
	c.talk.broken = nil
	return nil
}

func (c *client) noteAnswer(typ byte, body []byte) {
	text := ""
	switch typ {
	case wire.ErrorResponse, wire.NoticeResponse:
		if f, err := parseFailure(body); err == nil {
			text = " " + f.String()
			if f.fatal {
				text = " FATAL" + text
			}
			if typ == wire.ErrorResponse {
				c.count("error " + f.code)
			}
		}
	case wire.ReadyForQuery, wire.CommandComplete:
		text = fmt.Sprintf(" %s", body)
	case wire.DataRow:
		v, _ := firstColumn(body)
		text = " " + clip(v)
	}
	c.note("< %c%s", typ, text)
}

// drain reads what is left of a connection that cannot be written to any more.
func (c *client) drain() error {
	for {
		if err := c.hear(); err != nil {
			return errOver
		}
	}
}

// gone ends the connection that the other side has ended.
func (c *client) gone(err error) error {
	why := "the connection was lost: " + err.Error()
	if c.talk.fatal != nil {
		why = "the connection was ended: " + c.talk.fatal.String()
	}
	c.note("%s", why)
	c.end(failed, why)
	return errOver
}

// end closes and settles what is not settled.
func (c *client) end(o outcome, why string) {
	c.talk.lose(o, why)
	_ = c.nc.Close()
	c.talk = nil
}

// leave ends the connection from this side: by "terminate", "fin", "half" (it reads on until the end), "rst", or any.
func (c *client) leave(how, why string) error {
	if how == "" {
		how = []string{"terminate", "fin", "half", "rst"}[c.rnd.IntN(4)]
	}
	c.note("leaves by %s: %s", how, why)
	switch how {
	case "terminate":
		_, _ = c.write(wire.AppendEmpty(nil, wire.Terminate))
	case "half":
		_ = c.nc.(*net.TCPConn).CloseWrite()
		for range 1000 { // no connection has as many answers under way
			if err := c.hearEnd(); err != nil {
				break
			}
		}
	case "rst":
		_ = c.nc.(*net.TCPConn).SetLinger(0)
	}
	c.end(unfinished, "left by "+how+" "+why)
	return errOver
}

// hearEnd is hear of a client that has said its last word.
func (c *client) hearEnd() error {
	typ, body, err := c.read()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.wrong("hang", "the connection is not closed %s after its client has closed its side; %s", patience, c.door.state())
	}
	if err != nil {
		return err
	}
	c.noteAnswer(typ, body)
	if err := c.talk.hear(typ, body); err != nil {
		c.wrong("out of step", "after it has left: %v", err)
		return err
	}
	return nil
}

// cancelSoon sends a cancel request in a moment, which may be before, while or after what is sent now runs.
func (c *client) cancelSoon() {
	addr, pid, secret, d := c.door.addr, c.pid, c.secret, c.upTo(15*time.Millisecond)
	c.note("a cancel request follows in %s", d.Round(time.Millisecond))
	c.cancels.Go(func() {
		time.Sleep(d) // so that it comes in every moment
		nc, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return
		}
		defer func() { _ = nc.Close() }()
		_ = nc.SetDeadline(time.Now().Add(patience))
		if _, err := nc.Write(wire.AppendCancel(nil, pid, secret)); err == nil {
			_, _ = io.Copy(io.Discard, nc) // until it has been dealt with
		}
	})
}
