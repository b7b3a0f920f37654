package proxy

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// errStalled is the cause when a peer has not taken a byte for the write timeout.
var errStalled = errors.New("peer does not read")

// conn is one socket. One goroutine reads at a time and one writes at a time; both may be different.
//
// On Linux reads and writes are single non-blocking system calls made inside the callbacks of syscall.RawConn: they do
// not enter the scheduler, so the processor is not handed away while the kernel wakes the peer, and a goroutine that
// waits holds no buffer.
type conn struct {
	net.Conn
	raw   syscall.RawConn
	stall time.Duration // write timeout: the longest time without progress

	// of the reader, during read
	in      **buffer
	readErr error
	onRead  func(fd uintptr) bool

	// of the writer, during write
	out      []byte
	wrote    int
	writeErr error
	armed    bool // a write deadline is set
	onWrite  func(fd uintptr) bool
}

// init prepares c to use nc.
func (c *conn) init(nc net.Conn, stall time.Duration) error {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return errors.New("not a plain socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	c.Conn, c.raw, c.stall = nc, raw, stall
	c.onRead, c.onWrite = c.readReady, c.writeReady
	return nil
}

// interrupt makes a read that waits, or the next one, return os.ErrDeadlineExceeded. Any goroutine may call it.
func (c *conn) interrupt() { _ = c.SetReadDeadline(time.Unix(1, 0)) }

// resume lets reads wait again after an interrupt.
func (c *conn) resume() { _ = c.SetReadDeadline(time.Time{}) }

// interrupted is true for the error of a read that interrupt ended.
func interrupted(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
