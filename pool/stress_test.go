package pool_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/limit"
)

// ownedConn is a server that notices when two have it at once.
type ownedConn struct {
	owner atomic.Int64 // 0: nobody
	end   chan struct{}
	once  sync.Once
}

func (c *ownedConn) Run()         { <-c.end }
func (c *ownedConn) Close(string) { c.once.Do(func() { close(c.end) }) }

// worker asks again and again, and tells its goroutine what became of it.
type worker struct {
	pool.Waiter
	id   int64
	told chan pool.Lease // nil: refused
}

func (w *worker) Granted(s pool.Lease, _ time.Time, _ time.Duration) { w.told <- s }
func (w *worker) Refused(error)                                      { w.told <- pool.Lease{} }

// TestServerHasOneOwner lends servers to many goroutines for two seconds: nobody shares one, there are never more than
// the cap, and nothing is left over.
func TestServerHasOneOwner(t *testing.T) {
	length := 2 * time.Second
	if testing.Short() {
		length = 100 * time.Millisecond
	}
	const servers, workers = 8, 64
	var open, leases atomic.Int64
	p := pool.New(small(servers), limit.Frozen(6), false, func(context.Context, *pool.Server) (pool.Conn, error) {
		if n := open.Add(1); n > servers {
			t.Errorf("%d servers at a cap of %d", n, servers)
		}
		return &counted{ownedConn{end: make(chan struct{})}, &open}, nil
	})
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { p.Run(ctx) })
	for i := range workers {
		w := &worker{id: int64(i + 1), told: make(chan pool.Lease, 1)}
		user := "a"
		if i%8 == 0 {
			user = "b"
		}
		w.Waiter = pool.Waiter{Key: p.Key("db", user, "", func(*pool.Key) {}), Class: i % 2, Grantee: w}
		all.Go(func() {
			for ctx.Err() == nil {
				w.once(t, ctx, p, &leases)
			}
		})
	}
	all.Wait()
	closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Close(closing); err != nil {
		t.Fatalf("Close: %v; %+v", err, p.Stats())
	}
	st := p.Stats()
	if st.Running != 0 || st.Servers["active"]+st.Servers["idle"]+st.Servers["opening"]+st.Servers["closing"] != 0 || open.Load() != 0 {
		t.Errorf("left over: %+v, %d connections", st, open.Load())
	}
	if leases.Load() == 0 {
		t.Error("nobody was ever served")
	}
	t.Logf("%d leases", leases.Load())
}

// counted is an ownedConn that is counted while it runs.
type counted struct {
	ownedConn
	open *atomic.Int64
}

func (c *counted) Run() { c.ownedConn.Run(); c.open.Add(-1) }

// once is one request, and one lease if it is granted.
func (w *worker) once(t *testing.T, ctx context.Context, p *pool.Pool, leases *atomic.Int64) {
	p.Get(&w.Waiter, time.Now())
	var s pool.Lease
	if rand.IntN(16) == 0 && p.Withdraw(&w.Waiter) {
		return
	}
	select {
	case s = <-w.told:
	case <-ctx.Done():
		if p.Withdraw(&w.Waiter) {
			return
		}
		s = <-w.told
	}
	if s.Server == nil {
		return
	}
	leases.Add(1)
	c := s.Conn.(*counted)
	for range 1 + rand.IntN(3) {
		if other := c.owner.Swap(w.id); other != 0 {
			t.Errorf("%d and %d have the same server", other, w.id)
		}
		runtime.Gosched()
		if other := c.owner.Swap(0); other != w.id {
			t.Errorf("%d found %d in its server", w.id, other)
		}
		p.Idle(s, time.Now())
		runtime.Gosched()
		p.Busy(s, 0, time.Now())
	}
	switch rand.IntN(200) {
	case 0:
		p.Discard(s, "any", time.Now())
	case 1:
		c.Close("dies")
		fallthrough
	default:
		p.Release(s, time.Now())
	}
}
