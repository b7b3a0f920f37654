package proxy

import (
	"sync/atomic"
	"time"

	"pgguard/pool"
	"pgguard/proxy/translate"
)

// counters are everything a Server counts that is rarer than statements. All of it is atomic: nothing a client does waits for another to count.
// What each statement adds to is its session's (tally), so that no processor waits for another's.
type counters struct {
	panics     atomic.Uint64
	pins       []atomic.Uint64 // by index in translate.PinNames
	wouldReap  []atomic.Uint64 // by class: observe mode
	wouldBreak []atomic.Uint64 // by class: statements the breaker would have refused
	refusals   map[Reason][]atomic.Uint64
	cancels    map[string]*atomic.Uint64
}

// cancelResults are the ways a cancel request can end.
var cancelResults = []string{"sent", "queued", "idle", "unknown", "failed", "handed_on"}

func newCounters(classes int) *counters {
	c := &counters{
		pins:      make([]atomic.Uint64, len(translate.PinNames)),
		wouldReap: make([]atomic.Uint64, classes), wouldBreak: make([]atomic.Uint64, classes),
		refusals: map[Reason][]atomic.Uint64{}, cancels: map[string]*atomic.Uint64{},
	}
	for r := range refusals {
		c.refusals[r] = make([]atomic.Uint64, classes)
	}
	for _, r := range cancelResults {
		c.cancels[r] = new(atomic.Uint64)
	}
	return c
}

// countRefusal counts a refusal.
func (srv *Server) countRefusal(r *Refusal, class int) { srv.count.refusals[r.Reason][class].Add(1) }

// times are the histograms of a Server, by class.
type times struct {
	query, transaction, idle []histogram
	login                    histogram
}

func newTimes(classes int) *times {
	return &times{
		query: make([]histogram, classes), transaction: make([]histogram, classes), idle: make([]histogram, classes),
	}
}

// histogram is a pool.Histogram that any goroutine may add to. Adding costs two atomic additions.
type histogram struct {
	counts [pool.HistogramSize]atomic.Uint64
	sum    atomic.Int64
}

func (h *histogram) observe(d time.Duration) {
	h.counts[pool.HistogramBucket(d)].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) buckets() pool.Buckets {
	var counts [pool.HistogramSize]uint64
	for i := range counts {
		counts[i] = h.counts[i].Load()
	}
	return pool.BucketsOf(counts, time.Duration(h.sum.Load()))
}
