package sock

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Serve reads, and deals with what was read, until deal or the socket returns an error, which it returns. It returns
// os.ErrDeadlineExceeded after an Interrupt, and may then be called again.
func (c *Conn) Serve() error {
	c.first, c.readErr = true, nil
	if err := c.raw.Read(c.onRead); err != nil {
		return err
	}
	return c.readErr
}

// readReady reads until the socket is empty. All reading is done within one call of RawConn.Read, because its start
// forgets an edge of readiness that has already come.
func (c *Conn) readReady(fd uintptr) bool {
	for {
		b := c.borrow()
		room := len(b.Data) - b.W
		n, errno := sysRead(fd, b.Data[b.W:])
		if errno != 0 || n == 0 {
			if *c.in == nil {
				Return(b)
			}
			switch errno {
			case 0:
				c.readErr = io.EOF
			case syscall.EAGAIN:
				c.waits.Store(empty)
				return false
			default:
				c.readErr = os.NewSyscallError("read", errno)
			}
			return true
		}
		b.W += n
		*c.in = b
		if c.readErr = c.deal(); c.readErr != nil {
			return true
		}
		if n < room && !c.first {
			c.waits.Store(assumed)
			return false
		}
		c.first = false
	}
}

// Send writes all of p, waiting for a slow peer as long as it takes something within every write timeout.
func (c *Conn) Send(p []byte) (err error) {
	if c.secure != nil {
		return c.sendSecure(p)
	}
	c.wrote, err = c.push(p)
	return err
}

// push writes to the socket, and returns how many bytes.
func (c *Conn) push(p []byte) (int, error) {
	c.out, c.pushed, c.writeErr = p, 0, nil
	err := c.raw.Write(c.onWrite)
	c.out = nil
	if err == nil && !c.armed {
		return c.pushed, c.writeErr
	}
	if c.armed {
		c.armed = false
		c.stuck.Store(false)
		_ = c.SetWriteDeadline(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return c.pushed, ErrStalled
	}
	if err != nil {
		return c.pushed, err
	}
	return c.pushed, c.writeErr
}

func (c *Conn) writeReady(fd uintptr) bool {
	for c.pushed < len(c.out) {
		n, errno := sysSend(fd, c.out[c.pushed:])
		switch {
		case errno == 0:
			c.pushed += n
		case errno == syscall.EAGAIN:
			c.armed = true
			c.stuck.Store(true)
			_ = c.SetWriteDeadline(time.Now().Add(c.stall))
			return false
		default:
			c.writeErr = os.NewSyscallError("write", errno)
			return true
		}
	}
	return true
}

func sysRead(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

func sysSend(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			syscall.MSG_NOSIGNAL, 0, 0)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

// Ahead is true if the peer of a socket, or of what Peek made of one, has sent something that is still to be read; its end does not count. It does not wait.
func Ahead(nc net.Conn) bool {
	sc, ok := Socket(nc).(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	has := false
	_ = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		has = errno == 0 && n == 1
	})
	return has
}

// Gone is true if the peer has closed its side, whatever it has sent before is still to be read. Any goroutine may call it.
func (c *Conn) Gone() bool { return c.polls(pollRDHUP) }

// Unread is true if something that the peer has sent, or its end, is still to be read. Any goroutine may call it.
func (c *Conn) Unread() bool { return c.raw != nil && c.polls(pollIN) }

// polls is true if the kernel has one of these events for the socket, or an error. It does not wait, so the scheduler is not told of it:
// a thread that is preempted in such a call would otherwise lose its processor to another, and wake the runtime's monitor every few microseconds.
func (c *Conn) polls(events int16) bool {
	has := false
	_ = c.raw.Control(func(fd uintptr) {
		p := pollFd{fd: int32(fd), events: events}
		var wait syscall.Timespec // none
		// ppoll: arm64 has no poll.
		n, _, _ := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&wait)), 0, 0, 0)
		has = n == 1
	})
	return has
}

// unanswered is true if the kernel sends something again, or asks a peer that has no room whether it has, and has had no answer yet.
func (c *Conn) unanswered() bool {
	if c.raw == nil {
		return false
	}
	const retransmits, probes = 2, 3 // places in struct tcp_info
	var info [8]byte
	size := uint32(len(info))
	var errno syscall.Errno
	err := c.raw.Control(func(fd uintptr) {
		_, _, errno = syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	return err == nil && errno == 0 && (info[retransmits] > 0 || info[probes] > 0)
}

// pollFd is struct pollfd.
type pollFd struct {
	fd              int32
	events, revents int16
}

// pollRDHUP is POLLRDHUP: the stream's peer has closed its side. Errors are reported unasked.
const pollRDHUP = 0x2000

// pollIN is POLLIN: there is something to read.
const pollIN = 0x1
