package sock

import (
	"net"
	"time"
)

// KeepAlive has the system find a peer that is gone, while nothing is under way to it, within d: the first of three questions comes after half of
// that. The system counts in whole seconds.
func KeepAlive(d time.Duration) net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: d / 2, Interval: max(time.Second, d/6), Count: 3}
}

// Silent is for how long the peer's machine has not acknowledged what was sent to it, as far as the caller has seen, who asks at most every
// second or so; 0: it has, or nothing was sent. A peer that does not read is not silent. One goroutine may call it. The system's own
// bound for that is a quarter of an hour; its TCP_USER_TIMEOUT would also end the connection of a peer that is only slow to read.
func (c *Conn) Silent(now time.Time) time.Duration {
	if !c.unanswered() {
		c.silent = time.Time{}
		return 0
	}
	if c.silent.IsZero() {
		c.silent = now
	}
	return now.Sub(c.silent)
}
