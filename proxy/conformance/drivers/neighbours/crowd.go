// Package neighbours makes noise behind a proxy: many clients with settings, statement names, temporary tables,
// transactions and errors of their own, each of which checks that it never sees another's.
package neighbours

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// think is the mean pause between the acts of one neighbour: people share the machine with the drivers' tests.
const think = 200 * time.Millisecond

// Crowd is many neighbours at work. Start makes one; Stop must be called.
type Crowd struct {
	stop  context.CancelFunc
	tasks sync.WaitGroup
	from  time.Time

	mu     sync.Mutex
	report Report // guarded by mu
}

// Report is what the neighbours did and saw.
type Report struct {
	Acts    int
	Faults  []string // what they saw that a direct connection would not have shown
	Refused int      // statements refused for pressure
	Refusal string   // the last refusal
	Took    time.Duration
}

// PerSecond returns the acts per second.
func (r Report) PerSecond() int {
	return int(float64(r.Acts) / max(r.Took.Seconds(), 0.001))
}

// Start connects n neighbours to address, one after another, and has each of them work until Stop.
func Start(ctx context.Context, address string, n int, seed uint64) (*Crowd, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &Crowd{stop: stop, from: time.Now()}
	for i := range n {
		nb := &neighbour{id: i, address: address, rnd: rand.New(rand.NewPCG(seed, uint64(i)))}
		if err := nb.enter(ctx); err != nil {
			c.Stop()
			return nil, fmt.Errorf("neighbour %d: %w", i, err)
		}
		c.tasks.Go(func() { c.live(ctx, nb) })
	}
	return c, nil
}

// Stop has the neighbours leave, waits for them and returns their report. It may be called twice.
func (c *Crowd) Stop() Report {
	c.stop()
	c.tasks.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.report.Took == 0 {
		c.report.Took = time.Since(c.from)
	}
	return c.report
}

// live has the neighbour act until ctx ends. What it has begun it finishes, so that an end is not taken for a fault.
func (c *Crowd) live(ctx context.Context, nb *neighbour) {
	defer nb.leave()
	for pause := time.NewTimer(0); ; pause.Reset(time.Duration(nb.rnd.Int64N(int64(2 * think)))) {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		name, err := nb.act(context.WithoutCancel(ctx))
		c.note(nb, name, err)
		if err == nil || nb.id != 0 && nb.conn != nil && !nb.conn.IsClosed() && nb.conn.TxStatus() == 'I' {
			continue // only what neighbour 0 does leaves anything behind when it is refused in the middle
		}
		nb.leave() // start afresh: what the fault left would be reported again and again
		if err := nb.enter(context.WithoutCancel(ctx)); err != nil {
			c.note(nb, "enter", err)
			return
		}
	}
}

// note adds one act to the report.
func (c *Crowd) note(nb *neighbour, name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Acts++
	switch {
	case err == nil:
	case isRefusal(err):
		c.report.Refused++
		c.report.Refusal = err.Error()
	default:
		c.report.Faults = append(c.report.Faults, fmt.Sprintf("%d, %s: %v", nb.id, name, err))
	}
}

// isRefusal reports whether the proxy refused the statement for pressure: class 53.
func isRefusal(err error) bool {
	code := codeOf(err)
	return len(code) == 5 && code[:2] == "53"
}

// codeOf returns the SQLSTATE of err, or its text.
func codeOf(err error) string {
	for e := err; e != nil; {
		if pe, ok := e.(*pgconn.PgError); ok {
			return pe.Code
		}
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			break
		}
		e = u.Unwrap()
	}
	return fmt.Sprint(err)
}
