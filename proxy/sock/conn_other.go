//go:build !linux

package sock

import (
	"errors"
	"net"
	"os"
	"time"
)

// Serve reads, and deals with what was read, until deal or the socket returns an error, which it returns. It returns
// os.ErrDeadlineExceeded after an Interrupt, and may then be called again.
func (c *Conn) Serve() error {
	for {
		b := c.borrow()
		n, err := c.Conn.Read(b.Data[b.W:])
		if n == 0 {
			if *c.in == nil {
				Return(b)
			}
			return err
		}
		b.W += n
		*c.in = b
		if err := c.deal(); err != nil {
			return err
		}
	}
}

// Send writes all of p, waiting for a slow peer no longer than the write timeout.
func (c *Conn) Send(p []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(c.stall))
	n, err := c.Conn.Write(p)
	c.wrote = n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrStalled
	}
	return err
}

// push is not used here: Send waits by itself.
func (c *Conn) push(p []byte) (int, error) { return c.Conn.Write(p) }

func (t *transport) readNow(p []byte) (int, error) { return t.Conn.Read(p) }

func (c *Conn) readSecure(uintptr) bool { return true }
func (c *Conn) readReady(uintptr) bool  { return true }
func (c *Conn) writeReady(uintptr) bool { return true }

// Ahead is true if the peer of a socket has sent something that is still to be read, which is not known here.
func Ahead(net.Conn) bool { return false }

// unanswered is not known here: the system's own bounds hold.
func (c *Conn) unanswered() bool { return false }

// Unread is true if something that the peer has sent is still to be read, which is not known here. Any goroutine may call it.
func (c *Conn) Unread() bool { return false }

// Gone is true if the peer has closed its side, whatever it has sent before is still to be read; here that is not known before that
// has been read. Any goroutine may call it.
func (c *Conn) Gone() bool { return false }
