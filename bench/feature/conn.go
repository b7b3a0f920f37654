package feature

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// answerWait bounds every wait for an answer. A healthy target answers within milliseconds; a machine full of neighbours
// may need seconds for a login.
const answerWait = 10 * time.Second

// conn is one connection in raw messages. One goroutine uses it at a time.
type conn struct {
	net    net.Conn
	in     *bufio.Reader
	params map[string]string // the newest ParameterStatus of each name
	pid    uint32
	key    []byte // of a cancel request
	minor  int    // protocol 3.minor, after negotiation
	notes  []string
	status byte // of the last ReadyForQuery
}

// login connects and logs in. params are those of the startup message beside user and database.
func login(cfg *pgconn.Config, protocol uint32, params map[string]string) (*conn, error) {
	d := net.Dialer{Timeout: answerWait}
	nc, err := d.Dial("tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &conn{net: nc, in: bufio.NewReader(nc), params: map[string]string{}, minor: int(protocol & 0xffff)}
	hello := &pgproto3.StartupMessage{ProtocolVersion: protocol, Parameters: map[string]string{"user": cfg.User, "database": cfg.Database}}
	for k, v := range params {
		hello.Parameters[k] = v
	}
	if err := c.send(hello); err != nil {
		nc.Close()
		return nil, err
	}
	a, err := c.receive()
	if err == nil && a.err != nil {
		err = a.err
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// send writes messages in one piece.
func (c *conn) send(messages ...pgproto3.FrontendMessage) error {
	var b []byte
	for _, m := range messages {
		var err error
		if b, err = m.Encode(b); err != nil {
			return fmt.Errorf("encode a message: %w", err)
		}
	}
	if err := c.net.SetDeadline(time.Now().Add(answerWait)); err != nil {
		return err
	}
	_, err := c.net.Write(b)
	return err
}

// receive reads until ReadyForQuery, or until CopyInResponse, CopyOutResponse's data included. FATAL ends it too.
func (c *conn) receive() (*answer, error) { return c.receiveUntil('Z', 'G') }

// receiveUntil reads until a message of one of the types. An ErrorResponse before the end is in the answer.
func (c *conn) receiveUntil(ends ...byte) (*answer, error) {
	a := &answer{}
	if err := c.net.SetDeadline(time.Now().Add(answerWait)); err != nil {
		return a, err
	}
	for {
		typ, body, err := c.read()
		if err != nil {
			return a, closedBy(a, err)
		}
		if err := c.note(a, typ, body); err != nil {
			return a, err
		}
		for _, e := range ends {
			if typ == e {
				return a, nil
			}
		}
	}
}

// longestMessage bounds what an answer may hold. Nothing here asks for more than a few kilobytes.
const longestMessage = 1 << 20

// read returns the next message; body is the caller's.
func (c *conn) read() (typ byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > longestMessage {
		return 0, nil, fmt.Errorf("a message %q of %d bytes", head[0], n)
	}
	body = make([]byte, n-4)
	_, err = io.ReadFull(c.in, body)
	return head[0], body, err
}

// note takes up a message: what concerns the connection into c, the rest into a.
func (c *conn) note(a *answer, typ byte, body []byte) error {
	switch typ {
	case 'R':
		if len(body) < 4 || binary.BigEndian.Uint32(body) != 0 {
			return errors.New("the target asks for a password")
		}
	case 'S':
		var m pgproto3.ParameterStatus
		if err := m.Decode(body); err != nil {
			return err
		}
		c.params[m.Name] = m.Value
	case 'K':
		if len(body) < 8 {
			return errors.New("a BackendKeyData without a key")
		}
		c.pid, c.key = binary.BigEndian.Uint32(body), body[4:]
	case 'v':
		if len(body) < 4 {
			return errors.New("a NegotiateProtocolVersion without a version")
		}
		c.minor = int(binary.BigEndian.Uint32(body) & 0xffff)
	case 'A':
		var m pgproto3.NotificationResponse
		if err := m.Decode(body); err != nil {
			return err
		}
		c.notes = append(c.notes, m.Channel+":"+m.Payload)
	case 'Z':
		if len(body) != 1 {
			return errors.New("a ReadyForQuery without a status")
		}
		c.status = body[0]
		a.status = c.status
	case 'N':
	default:
		return a.note(typ, body)
	}
	return nil
}

// quit says goodbye and closes the socket.
func (c *conn) quit() {
	_ = c.send(&pgproto3.Terminate{}) // the socket is closed anyway
	c.net.Close()
}

// closedBy prefers the error that the target sent before it closed, and says in words what an end of stream or a timeout is.
func closedBy(a *answer, err error) error {
	var ne net.Error
	switch {
	case a.err != nil:
		return a.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("connection closed")
	case errors.As(err, &ne) && ne.Timeout():
		return fmt.Errorf("no answer within %v", answerWait)
	}
	return err
}
