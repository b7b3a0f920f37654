//go:build pg

package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"strings"
	"time"

	"pgguard/pool/queue"
	"pgguard/proxy"
	"pgguard/proxy/upstream"
)

// door is where clients come in, a guard or PostgreSQL itself, and how those who do behave.
type door struct {
	name    string
	addr    string
	guard   *guard // nil: PostgreSQL itself
	clients int
	leaves  float64       // how likely one leaves at each step
	cancels float64       // and cancels
	pins    float64       // how likely one leaves something in its session
	long    float64       // how likely a text is about as long as a buffer
	tapped  bool          // its connections to PostgreSQL are cut now and then
	kinds   float64       // how likely one is another user, or has another setting from the start
	sleepy  int           // how many do nothing in the middle of transactions
	idle    time.Duration // for how long

	set func(cfg *proxy.Config, rnd *rand.Rand)
}

func (d *door) String() string { return d.name }

// doors are the guards of a round, each of another kind. All are short of servers.
func doors() []*door {
	return []*door{
		{
			name: "short", tapped: true, clients: 8, leaves: 0.02, cancels: 0.03, pins: 0.04, long: 0.1, kinds: 0.1,
			set: func(cfg *proxy.Config, rnd *rand.Rand) {
				cfg.WriteTimeout, cfg.CancelTimeout, cfg.Observe = time.Second, 300*time.Millisecond, rnd.IntN(6) == 0
				cfg.Pool.Lifetime, cfg.Pool.IdleTimeout = 2*time.Second, time.Second
				cfg.Pool.MaxServers, cfg.Limit = 3, 2
				cfg.Pool.Classes = class(150*time.Millisecond, 4)
				cfg.Pool.Classes[0].Interactive = rnd.IntN(2) == 0
			},
		},
		{
			name: "one", tapped: true, clients: 5, leaves: 0.02, cancels: 0.05, pins: 0.02, long: 0.3,
			set: func(cfg *proxy.Config, rnd *rand.Rand) {
				cfg.Pool.MaxServers, cfg.Limit = 1, 1
				cfg.Pool.Classes = class(80*time.Millisecond, 3)
				cfg.DeferBegin, cfg.PrepareUnnamed = rnd.IntN(2) == 0, rnd.IntN(2) == 0
				cfg.MaxPrepared, cfg.MaxClients = 2, 4+rnd.IntN(2)
				if rnd.IntN(4) == 0 {
					cfg.Mode = proxy.PoolModeStatement
				}
			},
		},
		{
			name: "session", clients: 6, leaves: 0.02, cancels: 0.03, pins: 0.1, long: 0.1,
			set: func(cfg *proxy.Config, rnd *rand.Rand) {
				cfg.Mode = proxy.PoolModeSession
				cfg.Pool.MaxServers, cfg.Limit = 4, 1+rnd.IntN(2)
				cfg.Pool.Classes = class(120*time.Millisecond, 4)
			},
		},
		{
			name: "pinned", clients: 7, leaves: 0.02, cancels: 0.03, pins: 0.25, long: 0.1,
			set: func(cfg *proxy.Config, rnd *rand.Rand) {
				cfg.Pool.MaxServers, cfg.Limit = 5, 1
				cfg.MaxPinned = 2 + 2*rnd.IntN(2)
				cfg.Pool.Classes = class(60*time.Millisecond, 6)
			},
		},
		{
			name: "patient", clients: 7, leaves: 0.02, cancels: 0.02, pins: 0.02, long: 0.1, sleepy: 2, idle: 12500 * time.Millisecond,
			set: func(cfg *proxy.Config, _ *rand.Rand) {
				cfg.Pool.MaxServers, cfg.Limit = 3, 0
				cfg.Pool.Classes = class(4*time.Second, 100)
			},
		},
	}
}

// class is the only class of a guard.
func class(wait time.Duration, length int) []queue.Class {
	return []queue.Class{{Name: "all", Weight: 1, MaxWait: wait, MaxLength: length, MaxShare: 1}}
}

// guard is a server of package proxy.
type guard struct {
	*proxy.Server
	served chan error
}

// open starts the guard of a door, in front of PostgreSQL at an address.
func (d *door) open(addr string, direct bool, rnd *rand.Rand) error {
	if direct {
		d.addr = addr
		return nil
	}
	host, number, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	cfg := proxy.Default()
	cfg.Listen = []proxy.Listener{{Addr: "127.0.0.1:0"}}
	cfg.Upstream = upstream.Upstream{Host: host, Port: port, User: "postgres", ConnectTimeout: 5 * time.Second}
	cfg.Rules = nil
	d.set(&cfg, rnd)
	srv, err := proxy.New(cfg)
	if err != nil {
		return err
	}
	if err := srv.Listen(); err != nil {
		return err
	}
	d.guard = &guard{Server: srv, served: make(chan error, 1)}
	d.addr = srv.Addrs()[0].String()
	go func() { d.guard.served <- srv.Serve(context.Background()) }()
	return nil
}

// close ends the guard, and says so if that hangs.
func (d *door) close() error {
	if d.guard == nil {
		return nil
	}
	err := d.within(func() { err := errors.Join(d.guard.Close(), <-d.guard.served); d.guard.served <- err })
	if err == nil {
		err = <-d.guard.served
	}
	if n := d.guard.Stats().Panics; n > 0 {
		err = errors.Join(err, fmt.Errorf("%d sessions of guard %q panicked", n, d.name))
	}
	return err
}

// within runs f, and returns an error with what every goroutine of the guards waits for if that does not end.
func (d *door) within(f func()) error {
	ended := make(chan struct{})
	go func() { f(); close(ended) }()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-ended:
		return nil
	case <-timeout.C:
	}
	b := make([]byte, 4<<20)
	var stuck []string
	for g := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		head, _, _ := strings.Cut(g, "\n")
		if strings.Contains(g, "pgguard/proxy.(") && !strings.Contains(head, "[IO wait") && !strings.Contains(head, "[select") {
			stuck = append(stuck, g)
		}
	}
	return fmt.Errorf("guard %q does not end:\n%s", d.name, strings.Join(stuck, "\n\n"))
}

// state is what a guard is doing.
func (d *door) state() string {
	if d.guard == nil {
		return "no guard"
	}
	st := d.guard.Stats()
	text := fmt.Sprintf("clients %v", st.Clients)
	for _, p := range st.Pools {
		text += fmt.Sprintf(", servers %v, breaker %s", p.Servers, p.Breaker)
	}
	return text
}

// quiet is whether nobody uses the guard any more.
func (d *door) quiet() bool {
	if d.guard == nil {
		return true
	}
	st := d.guard.Stats()
	n := 0
	for _, k := range st.Clients {
		n += k
	}
	for _, p := range st.Pools {
		n += p.Servers["active"]
	}
	return n == 0
}
