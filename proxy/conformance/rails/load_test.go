//go:build rails

package rails

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// arrivals is how many requests a second come, whether those before them are answered or not: the people of a page do not know of one another.
const arrivals = 8

// asked is one request and what came of it.
type asked struct {
	at    time.Time // when it was due
	took  time.Duration
	err   error
	write bool
}

// crowd are people who look at the page of orders, and every fourth time order something.
type crowd struct {
	visitors []*visitor

	mu  sync.Mutex
	all []asked // guarded by mu
}

func newCrowd(ctx context.Context, base string) (*crowd, error) {
	c := &crowd{}
	for range 40 {
		v, err := newVisitor(base)
		if err != nil {
			return nil, err
		}
		if err := v.get(ctx, "/orders"); err != nil {
			return nil, err
		}
		c.visitors = append(c.visitors, v)
	}
	return c, nil
}

// come sends requests until ctx ends, and waits for their answers.
func (c *crowd) come(ctx context.Context) {
	var waiting sync.WaitGroup
	defer waiting.Wait()
	tick := time.NewTicker(time.Second / arrivals)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case due := <-tick.C:
			waiting.Go(func() { c.one(due, n) })
		}
	}
}

// one is the n-th request. It is sent to its end, which impatience bounds.
func (c *crowd) one(due time.Time, n int) {
	v, ctx := c.visitors[n%len(c.visitors)], context.Background()
	a := asked{at: due, write: n%4 == 3}
	if a.write {
		a.err = v.post(ctx, "/orders", url.Values{"product_id": {strconv.Itoa(1 + n/4%10)}, "quantity": {"1"}})
	} else {
		_, a.err = v.do(ctx, "GET", "/orders", nil)
	}
	a.took = time.Since(due)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, a)
}

// seen is what people met whose requests were due between two times.
type seen struct {
	P50, P99 time.Duration // of the requests that were answered
	Asked    int
	Errors   int // an error, or no answer before impatience
}

func (c *crowd) between(from, to time.Time) seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s seen
	var took []time.Duration
	for _, a := range c.all {
		if a.at.Before(from) || !a.at.Before(to) {
			continue
		}
		s.Asked++
		if a.err != nil {
			s.Errors++
			continue
		}
		took = append(took, a.took)
	}
	slices.Sort(took)
	s.P50, s.P99 = quantile(took, 0.50), quantile(took, 0.99)
	return s
}

// quantile of sorted times; 0 if there are none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

// answeredSince is how long after a time the page was whole again: from then on no request failed. Negative: never.
func (c *crowd) answeredSince(from time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(c.all, func(a, b asked) int { return a.at.Compare(b.at) })
	whole := time.Duration(-1)
	for _, a := range c.all {
		switch {
		case a.at.Before(from):
		case a.err != nil:
			whole = -1
		case whole < 0:
			whole = a.at.Sub(from)
		}
	}
	return whole
}

// kinds counts the errors by what they say.
func (c *crowd) kinds() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := map[string]int{}
	for _, a := range c.all {
		if a.err == nil {
			continue
		}
		if s, ok := a.err.(status); ok {
			m[s.Error()]++
		} else {
			m["no answer"]++
		}
	}
	return m
}
