//go:build !linux

package proxy

import (
	"errors"
	"os"
	"time"
)

// read waits for bytes and reads once into *in, which is borrowed first if it is nil. On an error *in is as before.
func (c *conn) read(in **buffer) error {
	b := *in
	if b == nil {
		b = getBuffer()
	}
	n, err := c.Conn.Read(b.data[b.w:])
	if n > 0 {
		b.w += n
		*in = b
		return nil
	}
	if *in == nil {
		putBuffer(b)
	}
	return err
}

// write writes all of p, waiting for a slow peer no longer than the write timeout.
func (c *conn) write(p []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(c.stall))
	_, err := c.Conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errStalled
	}
	return err
}

func (c *conn) readReady(uintptr) bool  { return true }
func (c *conn) writeReady(uintptr) bool { return true }
