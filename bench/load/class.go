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
	phases []*Tally // guarded by mu
	useful []int64  // per Tick; guarded by mu
}

// NewClass returns a class whose answers are useful within deadline of their intended start; zero is no deadline.
func NewClass(line Timeline, deadline time.Duration) *Class {
	c := &Class{deadline: deadline, line: line}
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
	if c.phases[i].Note(intended, finished, c.deadline, err) {
		c.useful[finished.Sub(c.line.Start)/Tick]++
	}
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
