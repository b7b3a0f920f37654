package scenario

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// job is one unit of background work.
type job struct {
	id      int64
	arrived time.Time // intended start: when it was pushed the first time
	tries   int       // how often it has failed
}

// jobQueue stands for Redis: jobs wait in it, first come first served, and failed ones come back after a delay.
// It is in memory and always works. Any goroutine may use it.
type jobQueue struct {
	ready   chan job
	delayed atomic.Int64
	scale   float64
}

// newJobQueue returns a queue for at most n jobs in all. scale shortens Sidekiq's delays to the length of a run.
func newJobQueue(n int, scale float64) *jobQueue {
	return &jobQueue{ready: make(chan job, n), scale: scale}
}

// push adds a job; it never blocks as long as the promise of newJobQueue is kept.
func (q *jobQueue) push(j job) { q.ready <- j }

// take waits for a job until ctx ends.
func (q *jobQueue) take(ctx context.Context) (job, bool) {
	select {
	case <-ctx.Done():
		return job{}, false
	case j := <-q.ready:
		return j, true
	}
}

// retry puts a failed job back after Sidekiq's delay.
func (q *jobQueue) retry(j job) {
	d := retryDelay(j.tries, q.scale)
	j.tries++
	q.delayed.Add(1)
	time.AfterFunc(d, func() {
		q.push(j)
		q.delayed.Add(-1)
	})
}

// backlog returns how many jobs wait, those in their delay included and those being worked on not.
func (q *jobQueue) backlog() int { return len(q.ready) + int(q.delayed.Load()) }

// retryDelay is count^4 + 15 seconds, Sidekiq's formula without its jitter, times scale.
func retryDelay(tries int, scale float64) time.Duration {
	return time.Duration((math.Pow(float64(tries), 4) + 15) * scale * float64(time.Second))
}
