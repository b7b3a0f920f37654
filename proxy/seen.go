package proxy

import (
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
)

var _ instance.Server = (*backend)(nil)

// Slot implements instance.Server.
func (b *backend) Slot() *pool.Server { return b.server }

// PID implements instance.Server.
func (b *backend) PID() uint32 { return b.pid }

// At implements instance.Server.
func (b *backend) At() string { return b.at.String() }

// Print implements instance.Server.
func (b *backend) Print() uint16 { return uint16(b.print.Load()) }

// Blocked implements instance.Server.
func (b *backend) Blocked(asked time.Time) { b.blocked.Store(&asked) }

// wasBlocked is true if a statement that began then, and has just ended, was seen to wait for a lock. What was seen of its server before it is forgotten with it.
func (b *backend) wasBlocked(began time.Time) bool {
	if b.blocked.Load() == nil {
		return false
	}
	asked := b.blocked.Swap(nil)
	return asked != nil && began.Before(*asked)
}
