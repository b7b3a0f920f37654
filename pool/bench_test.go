package pool_test

import (
	"context"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/limit"
)

// lone is a client that is served at once.
type lone struct {
	pool.Waiter
	server pool.Lease
}

func (l *lone) Granted(s pool.Lease, _ time.Time, _ time.Duration) { l.server = s }
func (l *lone) Refused(error)                                      { panic("refused") }

// ready returns a pool with one idle server and a client for it.
func ready(tb testing.TB, l int) (*pool.Pool, *lone) {
	p := pool.New(small(20), limit.Frozen(l), false, func(context.Context, *pool.Server) (pool.Conn, error) {
		return &ownedConn{end: make(chan struct{})}, nil
	})
	tb.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := p.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	w := &worker{told: make(chan pool.Lease, 1)}
	key := p.Key("db", "app", "", func(*pool.Key) {})
	w.Waiter = pool.Waiter{Key: key, Grantee: w}
	p.Get(&w.Waiter, time.Now())
	p.Release(<-w.told, time.Now())
	c := &lone{}
	c.Waiter = pool.Waiter{Key: key, Grantee: c}
	return p, c
}

func TestLeaseAllocatesNothing(t *testing.T) {
	p, c := ready(t, 10)
	now := time.Now()
	allocs := testing.AllocsPerRun(1000, func() {
		p.Get(&c.Waiter, now)
		p.Idle(c.server, now)
		p.Busy(c.server, 0, time.Now())
		p.Release(c.server, now)
	})
	if allocs != 0 {
		t.Errorf("%v allocations for each lease, want 0", allocs)
	}
}

func BenchmarkLease(b *testing.B) {
	p, c := ready(b, 10)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p.Get(&c.Waiter, now)
		p.Release(c.server, now)
	}
}

// BenchmarkLeaseBesideQueue is a request that comes and goes while a thousand wait for a run token beside an idle
// server: the price of a full queue.
func BenchmarkLeaseBesideQueue(b *testing.B) {
	p, c := ready(b, 10)
	now := time.Now()
	held := &worker{told: make(chan pool.Lease, 1)}
	held.Waiter = pool.Waiter{Key: c.Key, Grantee: held}
	p.Get(&c.Waiter, now)
	p.Get(&held.Waiter, now)
	s := <-held.told // the pool has two servers: one is lent and runs, one is idle
	p.Release(c.server, now)
	p.SetLimit(limit.Frozen(1))
	waiting := make([]lone, 1000)
	for i := range waiting {
		waiting[i].Waiter = pool.Waiter{Key: c.Key, Class: 1, Grantee: &waiting[i]}
		p.Get(&waiting[i].Waiter, now)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Get(&c.Waiter, now)
		p.Withdraw(&c.Waiter)
	}
	b.StopTimer()
	for i := range waiting {
		p.Withdraw(&waiting[i].Waiter)
	}
	p.Release(s, now)
}

// BenchmarkLateTogether is what it takes to tell 20,000 who are late at the same time.
func BenchmarkLateTogether(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(lateTogether(b, 20_000).Microseconds())/1000, "ms/20000")
	}
}
