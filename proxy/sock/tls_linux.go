package sock

import (
	"io"
	"os"
	"syscall"
)

// readSecure is readReady under TLS.
func (c *Conn) readSecure(fd uintptr) bool {
	t := c.secure
	t.fd, t.reading, t.drained = fd, true, false
	waits := c.readRecords()
	t.reading = false
	return !waits
}

// readRecords reads until TLS needs more than the socket has, and returns true then.
func (c *Conn) readRecords() (waits bool) {
	for {
		b := c.borrow()
		n, err := c.Conn.Read(b.Data[b.W:])
		if n > 0 {
			b.W += n
			*c.in = b
			if c.readErr = c.deal(); c.readErr != nil {
				return false
			}
		} else if *c.in == nil {
			Return(b)
		}
		switch {
		case err == nil:
		case err == error(again{}):
			state := uint32(empty)
			if c.secure.drained {
				state = assumed
			}
			c.waits.Store(state)
			return true
		default:
			c.readErr = err
			return false
		}
	}
}

// readNow reads what the socket has. It is called within readSecure.
func (t *transport) readNow(p []byte) (int, error) {
	if t.drained {
		return 0, again{}
	}
	n, errno := sysRead(t.fd, p)
	switch {
	case errno == syscall.EAGAIN:
		return 0, again{}
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	t.drained = n < len(p) && !t.c.first
	t.c.first = false
	return n, nil
}
