package load

import (
	"sync"
	"time"
)

// Timeline is the plan of a run: phases one after another from Start.
type Timeline struct {
	Start  time.Time
	Phases []time.Duration
}

// Phase returns the index of the phase at t, or -1 before the start and after the end.
func (l Timeline) Phase(t time.Time) int {
	d := t.Sub(l.Start)
	if d < 0 {
		return -1
	}
	for i, p := range l.Phases {
		if d < p {
			return i
		}
		d -= p
	}
	return -1
}

// End returns when the last phase ends.
func (l Timeline) End() time.Time { return l.Begin(len(l.Phases)) }

// Begin returns when phase i begins.
func (l Timeline) Begin(i int) time.Time {
	t := l.Start
	for _, p := range l.Phases[:i] {
		t = t.Add(p)
	}
	return t
}

// Tick is the width of a class's time series.
const Tick = 100 * time.Millisecond

// Class counts the requests of one class by phase and over time; a request belongs to the moment it ended, and those
// that end outside of the timeline are not counted. Any goroutine may use it.
type Class struct {
	deadline time.Duration
	line     Timeline

	mu     sync.Mutex
	phases []*Tally  // guarded by mu
	useful []int64   // per Tick; guarded by mu
	second *Tally    // of the second under way, len(p99); guarded by mu
	p99    []float64 // milliseconds, of the seconds that are over; guarded by mu
}

// NewClass returns a class whose answers are useful within deadline of their intended start; zero is no deadline.
func NewClass(line Timeline, deadline time.Duration) *Class {
	c := &Class{deadline: deadline, line: line, second: NewTally()}
	for range line.Phases {
		c.phases = append(c.phases, NewTally())
	}
	c.useful = make([]int64, line.End().Sub(line.Start)/Tick+1)
	return c
}

// Note counts a request that was meant to start at intended and has ended at finished.
func (c *Class) Note(intended, finished time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.line.Phase(finished)
	if i < 0 {
		return
	}
	at := finished.Sub(c.line.Start)
	if c.phases[i].Note(intended, finished, c.deadline, err) {
		c.useful[at/Tick]++
	}
	c.sealLocked(int(at / time.Second))
	c.second.Note(intended, finished, c.deadline, err)
}

// sealLocked ends all seconds before second n. One histogram serves them all, so that an hour weighs no more than a
// minute; a request noted a moment late counts in the second under way.
func (c *Class) sealLocked(n int) {
	for len(c.p99) < n {
		c.p99 = append(c.p99, float64(c.second.Quantile(0.99))/float64(time.Millisecond))
		c.second.reset()
	}
}

// P99PerSecond returns the 99th percentile in milliseconds of the requests that ended in each whole second since the
// start, 0 for a second in which none did. Call it when the timeline is over.
func (c *Class) P99PerSecond() []float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealLocked(int(c.line.End().Sub(c.line.Start) / time.Second))
	return append([]float64(nil), c.p99...)
}

// Phase returns a copy of the tally of phase i.
func (c *Class) Phase(i int) *Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := NewTally()
	t.Merge(c.phases[i])
	return t
}

// Goodput returns the useful answers per second of phase i.
func (c *Class) Goodput(i int) float64 {
	return float64(c.Phase(i).Useful) / c.line.Phases[i].Seconds()
}

// Ticks returns the useful answers in every Tick since the start. The slice is new.
func (c *Class) Ticks() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]int64(nil), c.useful...)
}

// PerSecond returns the useful answers in every whole second since the start.
func (c *Class) PerSecond() []float64 {
	ticks := c.Ticks()
	per := int(time.Second / Tick)
	out := make([]float64, len(ticks)/per)
	for i := range out {
		for _, n := range ticks[i*per : (i+1)*per] {
			out[i] += float64(n)
		}
	}
	return out
}
