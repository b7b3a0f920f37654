package upstream

import (
	"context"
	"strings"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall does not name.
const tcpUserTimeout = 18

// control sets what net.Dialer has no field for; nil: nothing.
func (s *Socket) control() func(ctx context.Context, network, address string, c syscall.RawConn) error {
	if s.UserTimeout <= 0 {
		return nil
	}
	return func(_ context.Context, network, _ string, c syscall.RawConn) (err error) {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		failed := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(s.UserTimeout/time.Millisecond))
		})
		if err == nil {
			err = failed
		}
		return err
	}
}
