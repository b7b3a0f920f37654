package sock

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrStalled is the cause when a peer has not taken a byte for the write timeout.
var ErrStalled = errors.New("peer does not read")

// Conn is one socket. One goroutine reads at a time and one writes at a time; both may be different.
//
// On Linux reads and writes are single non-blocking system calls made inside the callbacks of syscall.RawConn: they do
// not enter the scheduler, so the processor is not handed away while the kernel wakes the peer, and a goroutine that
// waits holds no buffer. Under TLS the same calls are made by the transport that TLS reads from and writes to.
//
// After a read that left room in its buffer the socket is known to be empty, and the goroutine waits for the next edge
// of readiness without asking the kernel again: one system call fewer for every message. Only an end of the stream that
// came together with the last bytes makes no edge of its own; Look finds it.
type Conn struct {
	net.Conn
	raw    syscall.RawConn
	secure *transport    // under net.Conn, which is a tls.Conn; nil: it is none
	stall  time.Duration // write timeout: the longest time without progress

	// of the reader
	in      **Buffer
	deal    func() error
	first   bool // the socket has not been asked since Serve began
	readErr error
	onRead  func(fd uintptr) bool
	waits   atomic.Uint32 // assumed, empty or looked

	silent time.Time // of who calls Silent: since when what was sent is not acknowledged; zero: all is

	wrote int // of the writer: bytes of the last Send

	// of who pushes
	out      []byte
	pushed   int
	writeErr error
	armed    bool        // a write deadline is set
	stuck    atomic.Bool // the peer does not take what is being sent
	onWrite  func(fd uintptr) bool
}

// What is known of a socket whose reader waits.
const (
	empty   = iota // the kernel has said that there is nothing, not even an end
	assumed        // the last read left room, the kernel was not asked again
	looked         // assumed, and Look has seen it once
)

// Init prepares c to use nc: a socket, or what Client or Server made of one. What is read goes to *in, and deal is called after each read.
func (c *Conn) Init(nc net.Conn, stall time.Duration, in **Buffer, deal func() error) error {
	c.secure = transportOf(nc)
	socket := Socket(nc)
	if c.secure == nil {
		nc = socket
	}
	sc, ok := socket.(syscall.Conn)
	if !ok {
		return errors.New("not a plain socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	c.Conn, c.raw, c.stall, c.in, c.deal = nc, raw, stall, in, deal
	c.onRead, c.onWrite = c.readReady, c.writeReady
	if c.secure != nil {
		c.onRead = c.readSecure
		c.secure.serve(c)
	}
	return nil
}

// borrow returns the buffer to read into: what *in holds, moved to the front, or one that *in gets when something is read.
func (c *Conn) borrow() *Buffer {
	b := *c.in
	if b == nil {
		return Borrow()
	}
	b.Compact()
	return b
}

// Cut ends the connection at once and closes it when nobody reads or writes any more, without waiting for that: who calls it may hold what
// the reader waits for, or be the reader. Any goroutine may call it.
func (c *Conn) Cut() { go func() { _ = c.Conn.Close() }() }

// Interrupt makes a Serve that waits, or the next one, return os.ErrDeadlineExceeded. Any goroutine may call it.
func (c *Conn) Interrupt() { _ = c.SetReadDeadline(time.Unix(1, 0)) }

// Resume lets reads wait again after an Interrupt.
func (c *Conn) Resume() { _ = c.SetReadDeadline(time.Time{}) }

// Interrupted is true for the error of a Serve that Interrupt ended.
func Interrupted(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Look interrupts a reader that has waited assumed since the last Look. It is called for every connection every
// LookEvery, by one goroutine.
func (c *Conn) Look() {
	if !c.waits.CompareAndSwap(assumed, looked) && c.waits.CompareAndSwap(looked, empty) {
		c.Interrupt()
	}
}

// Stuck is true while a Send waits for its peer to read. Any goroutine may call it.
func (c *Conn) Stuck() bool { return c.stuck.Load() }

// Sent is how many bytes of the last Send were written, or are kept to be written by the next.
func (c *Conn) Sent() int { return c.wrote }

// LookEvery is half the longest time for which the end of a stream can go unseen.
const LookEvery = 500 * time.Millisecond
