package pool_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool"
	"pgguard/pool/limit"
)

// fakeConn is a server connection in memory.
type fakeConn struct {
	key  *pool.Key
	f    *fakes
	end  chan struct{}
	once sync.Once
	why  string // why the pool closed it; guarded by f.mu
}

func (c *fakeConn) Run() { <-c.end }

// Close ends the connection, unless the fakes hold on to those that are closed.
func (c *fakeConn) Close(why string) {
	c.f.mu.Lock()
	if c.why == "" {
		c.why = why
		c.f.closed = append(c.f.closed, c.key.User+": "+why)
	}
	hold := c.f.hold
	c.f.mu.Unlock()
	if !hold {
		c.die()
	}
}

// die is what a server does that goes away by itself.
func (c *fakeConn) die() { c.once.Do(func() { close(c.end) }) }

// fakes opens servers in memory.
type fakes struct {
	mu sync.Mutex

	// guarded by mu
	login   time.Duration    // how long a login takes
	fail    error            // what a login answers; nil: a connection
	rejects map[string]error // by user, or by settings
	hold    bool             // closed connections do not end
	dials   []time.Duration  // when each login began
	now     int              // logins under way
	most    int              // most logins at once
	closed  []string         // user and reason of each close
	start   time.Time
	conns   []*fakeConn // all ever opened
}

func (f *fakes) dial(ctx context.Context, s *pool.Server) (pool.Conn, error) {
	f.mu.Lock()
	f.dials = append(f.dials, time.Since(f.start))
	f.now++
	f.most = max(f.most, f.now)
	login, err := f.login, f.fail
	if err == nil {
		err = cmp.Or(f.rejects[s.Key.User], f.rejects[s.Key.Settings])
	}
	f.mu.Unlock()
	defer func() { f.mu.Lock(); f.now--; f.mu.Unlock() }()
	if login > 0 {
		select {
		case <-time.After(login):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	c := &fakeConn{key: s.Key, f: f, end: make(chan struct{})}
	f.set(func() { f.conns = append(f.conns, c) })
	return c, nil
}

func (f *fakes) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// client is one waiter with what it was told.
type client struct {
	pool.Waiter
	name string
	h    *harness

	mu     sync.Mutex
	server pool.Lease // guarded by mu
	err    error      // guarded by mu
	waited time.Duration
	told   int // times Granted or Refused was called; guarded by mu
}

func (c *client) Granted(s pool.Lease, _ time.Time, waited time.Duration) {
	c.mu.Lock()
	c.server, c.waited = s, waited
	c.told++
	c.mu.Unlock()
	c.h.mu.Lock()
	c.h.order = append(c.h.order, c.name)
	c.h.mu.Unlock()
}

func (c *client) Refused(err error) {
	c.mu.Lock()
	c.err = err
	c.told++
	c.mu.Unlock()
}

func (c *client) has() pool.Lease {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server
}

func (c *client) refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// harness is a pool of fakes in a synctest bubble.
type harness struct {
	*pool.Pool
	*fakes
	t    *testing.T
	keys map[string]*pool.Key

	mu    sync.Mutex
	order []string // names in the order of their grants; guarded by mu
	all   []*client
}

// giveBack ends what every client still has or waits for.
func (h *harness) giveBack() {
	for _, c := range h.all {
		h.Withdraw(&c.Waiter)
	}
	synctest.Wait()
	for _, c := range h.all {
		if c.has().Server != nil {
			h.release(c)
		}
	}
	if s := h.Stats(); s.Running != 0 || s.Servers["active"] != 0 {
		h.t.Errorf("%d run, %d servers are lent after everybody has left", s.Running, s.Servers["active"])
	}
}

// in runs f in a bubble with a pool that is closed at the end.
func in(t *testing.T, cfg pool.Config, l int, f func(t *testing.T, h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, cfg, l, false, f) })
}

func run(t *testing.T, cfg pool.Config, l int, observe bool, f func(t *testing.T, h *harness)) {
	t.Helper()
	h := &harness{t: t, fakes: &fakes{start: time.Now(), rejects: map[string]error{}}, keys: map[string]*pool.Key{}}
	h.Pool = pool.New(cfg, limit.Frozen(l), observe, h.dial)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	defer func() { // also after a test that failed, or the bubble would complain instead
		h.giveBack()
		stop()
		running.Wait()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	f(t, h)
}

// small is a pool of n servers with the default classes, but that everybody waits in order for the class's longest wait.
func small(n int) pool.Config {
	cfg := mixed(n)
	cfg.Classes[0].Interactive = false
	return cfg
}

// mixed is a pool of n servers with the default classes: high is interactive, low is not.
func mixed(n int) pool.Config {
	cfg := pool.Default()
	cfg.MaxServers = n
	return cfg
}

func (h *harness) key(user string) *pool.Key {
	if h.keys[user] == nil {
		h.keys[user] = h.Key("db", user, "", func(*pool.Key) {})
	}
	return h.keys[user]
}

// client returns one of the high class that asks for servers of user app.
func (h *harness) client(name string) *client {
	c := &client{name: name, h: h}
	c.Waiter = pool.Waiter{Key: h.key("app"), Grantee: c}
	h.all = append(h.all, c)
	return c
}

// low makes c one of the low class.
func (c *client) low() *client { c.Class = 1; return c }

func (c *client) as(user string) *client { c.Key = c.h.key(user); return c }

// get asks for a server and waits until nothing moves.
func (h *harness) get(clients ...*client) {
	for _, c := range clients {
		c.mu.Lock()
		c.server, c.err = pool.Lease{}, nil
		c.mu.Unlock()
		h.Get(&c.Waiter, time.Now())
	}
	synctest.Wait()
}

func (h *harness) release(clients ...*client) {
	h.t.Helper()
	for _, c := range clients {
		s := c.has()
		if s.Server == nil {
			h.t.Fatalf("%s has no server to release", c.name)
		}
		c.mu.Lock()
		c.server = pool.Lease{}
		c.mu.Unlock()
		h.Release(s, time.Now())
	}
	synctest.Wait()
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// grants are the names of who was granted, in order.
func (h *harness) grants() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.order, " ")
}

// many returns n clients called prefix1, prefix2…
func (h *harness) many(prefix string, n int) []*client {
	var out []*client
	for i := range n {
		out = append(out, h.client(fmt.Sprintf("%s%d", prefix, i+1)))
	}
	return out
}

// expect fails unless the pool's servers are as given, by state.
func (h *harness) expect(opening, idle, active, closing int) {
	h.t.Helper()
	s := h.Stats().Servers
	if got, want := [4]int{s["opening"], s["idle"], s["active"], s["closing"]}, [4]int{opening, idle, active, closing}; got != want {
		h.t.Errorf("opening, idle, active, closing are %v, want %v", got, want)
	}
}

// two is a limit of its own kind.
type two struct{}

func (two) Current() int           { return 2 }
func (two) Refund(blocked int) int { return min(blocked, 1) }
func (two) Observe(limit.Sample)   {}
func (two) Step(time.Time, limit.Signals) limit.Decision {
	return limit.Decision{Limit: 2}
}

// dieAll ends every connection that the pool has closed.
func (h *harness) dieAll() {
	h.set(func() {
		for _, c := range h.conns {
			if c.why != "" {
				c.die()
			}
		}
	})
	synctest.Wait()
}
