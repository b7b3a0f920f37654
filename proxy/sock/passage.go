package sock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// MaxPassage is the longest message of a Passage. What is longer is not believed.
const MaxPassage = 16 << 20

// ErrTooLong is the error of a message that is longer than MaxPassage: nothing of it was sent.
var ErrTooLong = errors.New("message is too long for its receiver")

// Passage is a connection to another process of this machine, over which messages go, each with at most one socket. Send may be called from any goroutine, Receive
// from one at a time.
type Passage struct {
	conn *net.UnixConn
	mu   sync.Mutex // held while sending
}

// NewPassage returns one over a connection, and owns that.
func NewPassage(conn *net.UnixConn) *Passage { return &Passage{conn: conn} }

// FilePassage is NewPassage for a file that was inherited, which it closes.
func FilePassage(f *os.File) (*Passage, error) {
	defer func() { _ = f.Close() }() // of which net has a copy
	nc, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	c, ok := nc.(*net.UnixConn)
	if !ok {
		_ = nc.Close()
		return nil, errors.New("it is no unix socket")
	}
	return NewPassage(c), nil
}

// Conn is the connection.
func (p *Passage) Conn() *net.UnixConn { return p.conn }

// Close ends the passage: a Receive at either end returns.
func (p *Passage) Close() error { return p.conn.Close() }

// passageHead is the kind of a message and the length of its body.
const passageHead = 5

// Send sends a message, with a socket if with is not nil, of which the receiver gets a copy.
func (p *Passage) Send(kind byte, body []byte, with syscall.Conn) error {
	if len(body) > MaxPassage {
		return ErrTooLong
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)))
	if err := p.sendHead(head, with); err != nil {
		return err
	}
	_, err := p.conn.Write(body)
	return err
}

// sendHead sends what stands before a body, and the socket.
func (p *Passage) sendHead(head []byte, with syscall.Conn) error {
	if with == nil {
		_, err := p.conn.Write(head)
		return err
	}
	raw, err := with.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { // within it the number stays the socket's
		failed = p.sendRights(head, int(fd))
	})
	return errors.Join(err, failed)
}

// Receive waits for the next message. with is the socket that came with it, which is the caller's; nil: none did.
func (p *Passage) Receive() (kind byte, body []byte, with *os.File, err error) {
	var head [passageHead]byte
	with, err = p.receiveHead(head[:])
	if err == nil {
		body, err = p.receiveBody(head)
	}
	if err != nil && with != nil {
		_ = with.Close()
		with = nil
	}
	return head[0], body, with, err
}

// receiveBody reads what stands after a head. Room for it is made as it comes.
func (p *Passage) receiveBody(head [passageHead]byte) ([]byte, error) {
	size := binary.BigEndian.Uint32(head[1:])
	if size > MaxPassage {
		return nil, fmt.Errorf("a message of %d bytes came, which is too long", size)
	}
	body, err := io.ReadAll(io.LimitReader(p.conn, int64(size)))
	if err == nil && len(body) < int(size) {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}
