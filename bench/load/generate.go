package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Rand returns a generator for one purpose of a seeded run: same seed and stream, same numbers.
func Rand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// Open calls arrive for every arrival of a Poisson process of rate per second, from start until ctx ends, and returns
// the tally of how late the calls were. The schedule never waits for anything: arrive must not block, and gets the
// scheduled time, from which latency counts.
func Open(ctx context.Context, start time.Time, rate float64, r *rand.Rand, arrive func(intended time.Time)) *Tally {
	lag := NewTally()
	next := start
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		next = next.Add(time.Duration(r.ExpFloat64() / rate * float64(time.Second)))
		if wait := time.Until(next); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return lag
			case <-timer.C:
			}
		} else if ctx.Err() != nil {
			return lag
		}
		lag.Note(next, time.Now(), 0, nil)
		arrive(next)
	}
}

// Crew runs a number of workers that may change. Each is one goroutine in work until its ctx ends.
type Crew struct {
	ctx  context.Context
	work func(ctx context.Context, id int)

	mu    sync.Mutex
	stops []context.CancelFunc // one per worker; guarded by mu
	wg    sync.WaitGroup
}

// NewCrew returns a crew of nobody. work must return soon after its ctx ends; id is the worker's place from 0.
func NewCrew(ctx context.Context, work func(ctx context.Context, id int)) *Crew {
	return &Crew{ctx: ctx, work: work}
}

// Resize starts workers or ends the newest, until there are n. It does not wait for those who end.
func (c *Crew) Resize(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.stops) < n {
		ctx, stop := context.WithCancel(c.ctx)
		id := len(c.stops)
		c.stops = append(c.stops, stop)
		c.wg.Go(func() { c.work(ctx, id) })
	}
	for len(c.stops) > n {
		last := len(c.stops) - 1
		c.stops[last]()
		c.stops = c.stops[:last]
	}
}

// Size returns the number of workers that have not been told to end.
func (c *Crew) Size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.stops)
}

// Close ends all workers and waits for them.
func (c *Crew) Close() {
	c.Resize(0)
	c.wg.Wait()
}

// Sleep waits for d or until ctx ends, and reports whether it waited in full.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
