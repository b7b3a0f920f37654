package pgtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/wire"
)

// errOver ends a script early without a complaint: the client had the right to leave, or was sent away.
var errOver = errors.New("the connection is over")

// fakeConn is one connection of a Fake; only the goroutine of its script uses it.
type fakeConn struct {
	f      *Fake
	conn   net.Conn
	be     *pgproto3.Backend
	number int // 1 for the fake's first connection

	speaks uint32 // the newest version of the protocol that it knows; see Speak
	secret []byte // of the cancel key; see Speak

	startup map[string]string // nil until the startup packet has been read
	asked   uint32            // the version of the protocol in it
	mayEnd  bool              // the client may leave here: see Loop
}

func newFakeConn(f *Fake, conn net.Conn, number int) *fakeConn {
	c := &fakeConn{f: f, conn: conn, number: number, be: pgproto3.NewBackend(pgproto3.NewChunkReader(conn), conn)}
	c.speaks, c.secret = wire.Version30, binary.BigEndian.AppendUint32(nil, uint32(fakeKey^number))
	return c
}

// pid is the process id in the BackendKeyData of the connection.
func (c *fakeConn) pid() uint32 { return uint32(fakePID + c.number) }

// The first connection has process id 7001, the second 7002; keys differ from ids so that a mix-up shows.
const (
	fakePID = 7000
	fakeKey = 0x5ec4e700
)

// play runs steps in order.
func (c *fakeConn) play(steps []Step) error {
	for i, s := range steps {
		if err := s.run(c); err != nil {
			if errors.Is(err, errOver) {
				return err
			}
			return fmt.Errorf("step %d, %s: %w", i+1, s.name, err)
		}
	}
	return nil
}

// readStartup reads the startup packet once, refusing encryption. A cancel request is recorded and ends the script,
// and so does a client that leaves without a word. A client that asks for a newer protocol than c.speaks is told so, as
// PostgreSQL does.
func (c *fakeConn) readStartup() error {
	for c.startup == nil {
		p, err := wire.ReadStartup(c.conn)
		switch {
		case left(err):
			return errOver
		case err != nil:
			return fmt.Errorf("expected a startup packet: %w", err)
		}
		switch p.Kind {
		case wire.KindStartup:
			c.asked, c.startup = p.Version, map[string]string{}
			for _, kv := range p.Params {
				c.startup[kv.Name] = kv.Value
			}
			if p.Version > c.speaks {
				return c.write(wire.AppendNegotiate(nil, c.speaks, nil))
			}
		case wire.KindCancel:
			c.f.record(p.PID, p.Secret)
			return errOver
		default:
			if err := c.write([]byte{'N'}); err != nil {
				return err
			}
		}
	}
	return nil
}

// receive reads one message; what names the message that is expected. The message lives until the next receive. A query that a guard asks of each server that it has logged in to
// is answered as by a server without such catalogues, and not received unless the script expects it.
func (c *fakeConn) receive(what string) (pgproto3.FrontendMessage, error) {
	for {
		m, err := c.receiveAny(what)
		q, ok := m.(*pgproto3.Query)
		if err != nil || !ok || !strings.Contains(q.String, AskedOfAll) || strings.Contains(what, AskedOfAll) {
			return m, err
		}
		none := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42P01", Message: "relation does not exist"}
		if err := c.send(none, idle); err != nil {
			return nil, err
		}
		c.mayEnd = true
	}
}

// AskedOfAll is in the query that a guard asks of each server that it has logged in to.
const AskedOfAll = "pg_db_role_setting"

func (c *fakeConn) receiveAny(what string) (pgproto3.FrontendMessage, error) {
	if c.startup == nil {
		if err := c.readStartup(); err != nil {
			return nil, err
		}
	}
	m, err := c.be.Receive()
	if _, bye := m.(*pgproto3.Terminate); c.mayEnd && (left(err) || bye) {
		return nil, errOver
	}
	c.mayEnd = false
	if left(err) {
		return nil, fmt.Errorf("expected %s, got the end of the connection", what)
	}
	if err != nil {
		return nil, fmt.Errorf("expected %s: %w", what, err)
	}
	return m, nil
}

// send writes messages at once. A client that has left ends the script: what it missed is for the test to notice.
func (c *fakeConn) send(msgs ...pgproto3.BackendMessage) error {
	var buf []byte
	for _, m := range msgs {
		var err error
		if buf, err = m.Encode(buf); err != nil {
			return fmt.Errorf("encode %T: %w", m, err)
		}
	}
	return c.write(buf)
}

func (c *fakeConn) write(b []byte) error {
	if _, err := c.conn.Write(b); err != nil {
		return errOver
	}
	return nil
}

// left reports whether err is how a client's leaving looks to a reader.
func left(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)
}

// describe shows a message in an error.
func describe(m pgproto3.FrontendMessage) string { return fmt.Sprintf("%T %+v", m, m) }
