//go:build pg

package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/wire"
)

// patience bounds every single wait of these tests for an answer. It is far above what any answer takes.
const patience = 20 * time.Second

// caller is a client that speaks the protocol byte by byte, so that it can stop, die or run ahead wherever it likes.
// One goroutine uses it at a time.
type caller struct {
	net.Conn
	r      *bufio.Reader
	pid    uint32
	secret []byte
	status byte // of the last ReadyForQuery
}

// answer is what came up to ReadyForQuery.
type answer struct {
	rows    []string // first column of each row
	tags    []string
	codes   []string // SQLSTATE of each error
	hints   []string
	fatal   bool
	message string // of the last error
	status  byte
	types   string // every message type in order
}

// code is the SQLSTATE of the only error, or "".
func (a answer) code() string { return strings.Join(a.codes, ",") }

func (a answer) String() string {
	return fmt.Sprintf("codes %q tags %q rows %d status %q message %q", a.codes, a.tags, len(a.rows), a.status, a.message)
}

// call logs in; params are pairs of further start-up parameters.
func call(addr, user, database string, params ...string) (*caller, error) {
	c, err := dialCaller(addr)
	if err != nil {
		return nil, err
	}
	if err := c.login(wire.Version30, append([]string{"user", user, "database", database}, params...)); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// dialCaller connects and says nothing.
func dialCaller(addr string) (*caller, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &caller{Conn: nc, r: bufio.NewReader(nc)}, nil
}

func (c *caller) login(version uint32, params []string) error {
	body := binary.BigEndian.AppendUint32(nil, version)
	for _, p := range params {
		body = append(append(body, p...), 0)
	}
	body = append(body, 0)
	if err := c.send(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)); err != nil {
		return err
	}
	a, err := c.answer()
	if err == nil && len(a.codes) > 0 {
		err = errors.New("login: " + a.String())
	}
	return err
}

// mustCall is call for the test's own goroutine.
func mustCall(t *testing.T, addr, user, database string, params ...string) *caller {
	t.Helper()
	c, err := call(addr, user, database, params...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// send writes p, with a deadline.
func (c *caller) send(p []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Write(p)
	return err
}

// next reads one message.
func (c *caller) next() (typ byte, body []byte, err error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	var head [5]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(c.r, body)
	return head[0], body, err
}

// answer reads up to ReadyForQuery; a FATAL error ends it, too, if the connection ends after it.
func (c *caller) answer() (a answer, err error) {
	for {
		typ, body, err := c.next()
		if err != nil {
			if a.fatal {
				err = nil
			}
			return a, err
		}
		a.types += string(typ)
		switch typ {
		case wire.BackendKeyData:
			c.pid, c.secret = binary.BigEndian.Uint32(body), body[4:]
		case wire.DataRow:
			if n := int32(binary.BigEndian.Uint32(body[2:])); n >= 0 {
				a.rows = append(a.rows, string(body[6:6+n]))
			}
		case wire.CommandComplete:
			a.tags = append(a.tags, string(bytes.TrimRight(body, "\x00")))
		case wire.ErrorResponse:
			f, _ := wire.ParseError(body)
			a.codes = append(a.codes, string(f.Code))
			a.message, a.fatal = string(f.Message), f.Fatal()
			for _, field := range bytes.Split(body, []byte{0}) {
				if len(field) > 0 && field[0] == 'H' {
					a.hints = append(a.hints, string(field[1:]))
				}
			}
		case wire.CopyInResponse:
			return a, nil
		case wire.ReadyForQuery:
			a.status, c.status = body[0], body[0]
			return a, nil
		}
	}
}

// query runs one simple query.
func (c *caller) query(text string) (answer, error) {
	if err := c.send(simple(text)); err != nil {
		return answer{}, err
	}
	return c.answer()
}

// extended runs one statement as drivers do: Parse, Describe, Bind, Execute, Sync.
func (c *caller) extended(text string) (answer, error) {
	if err := c.send(append(batchOf(text), wire.AppendEmpty(nil, wire.Sync)...)); err != nil {
		return answer{}, err
	}
	return c.answer()
}

// want runs text and fails the test unless the answer has this SQLSTATE ("" for none) and state.
func (c *caller) want(t *testing.T, run func(string) (answer, error), text, code string, status byte) answer {
	t.Helper()
	a, err := run(text)
	if err != nil {
		dump(t, "%s: %v (%s)", text, err, a)
	}
	if a.code() != code || a.status != status {
		t.Fatalf("%s: got %s, want code %q and state %q", text, a, code, status)
	}
	return a
}

// kill ends the connection as a process that is killed does: with RST and without a word.
func (c *caller) kill() {
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// cancelWith sends a cancel request with this key and waits until it has been dealt with.
func cancelWith(addr string, pid uint32, secret []byte) error {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write(wire.AppendCancel(nil, pid, secret)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, nc)
	return err
}

func (c *caller) cancel() error { return cancelWith(c.RemoteAddr().String(), c.pid, c.secret) }

func simple(text string) []byte { return wire.AppendText(nil, wire.Query, text) }

// batchOf is everything of an extended statement but its Sync.
func batchOf(text string) []byte {
	out := appendMessage(nil, wire.Parse, "\x00"+text+"\x00\x00\x00")
	out = appendMessage(out, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00")
	out = appendMessage(out, wire.Describe, "P\x00")
	return appendMessage(out, wire.Execute, "\x00\x00\x00\x00\x00")
}

func appendMessage(dst []byte, typ byte, body string) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, typ), uint32(len(body)+4))
	return append(dst, body...)
}
