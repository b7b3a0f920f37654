//go:build !linux

package proxy

import (
	"errors"
	"os"
	"time"
)

// serve reads, and deals with what was read, until deal or the socket returns an error, which it returns. It returns
// os.ErrDeadlineExceeded after an interrupt, and may then be called again.
func (c *conn) serve() error {
	for {
		b := c.borrow()
		n, err := c.Conn.Read(b.data[b.w:])
		if n == 0 {
			if *c.in == nil {
				putBuffer(b)
			}
			return err
		}
		b.w += n
		*c.in = b
		if err := c.deal(); err != nil {
			return err
		}
	}
}

// write writes all of p, waiting for a slow peer no longer than the write timeout.
func (c *conn) write(p []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(c.stall))
	n, err := c.Conn.Write(p)
	c.wrote = n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errStalled
	}
	return err
}

func (c *conn) readReady(uintptr) bool  { return true }
func (c *conn) writeReady(uintptr) bool { return true }
