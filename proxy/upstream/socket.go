package upstream

import (
	"net"
	"strconv"
	"time"
)

// Socket is how a server's machine is found to be gone, as libpq's keys say it. What is zero is left to the Door.
type Socket struct {
	NoKeepAlive    bool          // keepalives=0
	Idle, Interval time.Duration // keepalives_idle, keepalives_interval
	Count          int           // keepalives_count
	UserTimeout    time.Duration // tcp_user_timeout, where the system has it
}

// keys are those that say what s is.
func (s *Socket) keys() (list []key) {
	if s.NoKeepAlive {
		list = append(list, key{"keepalives", "0"})
	}
	for _, k := range []struct {
		name string
		n    int
	}{
		{"keepalives_idle", int(s.Idle / time.Second)}, {"keepalives_interval", int(s.Interval / time.Second)},
		{"keepalives_count", s.Count}, {"tcp_user_timeout", int(s.UserTimeout / time.Millisecond)},
	} {
		if k.n != 0 {
			list = append(list, key{k.name, strconv.Itoa(k.n)})
		}
	}
	return list
}

// socket reads the keys about the socket. As in libpq what is not positive is not set.
func (v values) socket() (s Socket, err error) {
	var first error
	get := func(key string) int {
		n, _, err := v.number(key)
		if first == nil {
			first = err
		}
		return max(0, n)
	}
	on, given, err := v.number("keepalives")
	s = Socket{
		NoKeepAlive: given && on == 0, Count: get("keepalives_count"), Idle: time.Duration(get("keepalives_idle")) * time.Second,
		Interval: time.Duration(get("keepalives_interval")) * time.Second, UserTimeout: time.Duration(get("tcp_user_timeout")) * time.Millisecond,
	}
	if err == nil {
		err = first
	}
	return s, err
}

// dialer is what opens sockets that are as s says, and else as usual.
func (s *Socket) dialer(usual net.KeepAliveConfig) *net.Dialer {
	if s.NoKeepAlive {
		return &net.Dialer{KeepAlive: -1, ControlContext: s.control()}
	}
	given := s.Idle > 0 || s.Interval > 0 || s.Count > 0
	if given && !usual.Enable {
		usual = net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1} // the system's
	}
	if s.Idle > 0 {
		usual.Idle = s.Idle
	}
	if s.Interval > 0 {
		usual.Interval = s.Interval
	}
	if s.Count > 0 {
		usual.Count = s.Count
	}
	return &net.Dialer{KeepAliveConfig: usual, ControlContext: s.control()}
}
