//go:build !linux

package upstream

import (
	"context"
	"syscall"
)

// control is for Linux alone: as in libpq, tcp_user_timeout means nothing elsewhere.
func (s *Socket) control() func(ctx context.Context, network, address string, c syscall.RawConn) error {
	return nil
}
