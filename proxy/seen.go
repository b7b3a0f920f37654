package proxy

import (
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
func (b *backend) Blocked() { b.blocked.Store(true) }
