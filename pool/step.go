package pool

import (
	"time"

	"pgguard/pool/limit"
)

// Step lets the law decide from what has happened since it was called last, to which the caller adds what only he knows:
// the signals' fields but Run, Gap, Bound and Cap. It has one caller, about four times a second. If the limit has changed, who
// waits is served by it when Step returns.
func (p *Pool) Step(now time.Time, s limit.Signals) (Window, limit.Decision) {
	w := p.Account(now)
	p.mu.Lock()
	s.Run, s.Gap, s.Bound, s.Cap = w.Run, w.Gap, time.Duration(w.Bound*float64(time.Second)), p.cap.now
	d := p.limit.Step(now, s)
	if d.Reason != "" {
		p.changes++
	}
	p.grantAll(now)
	return w, d
}

// Limit is L as the law has it, whatever the ceiling.
func (p *Pool) Limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit.Current()
}

// Learned returns what the law would tell its successor; ok is false if that is nothing.
func (p *Pool) Learned(now time.Time) (kept limit.Learned, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, learns := p.limit.(limit.Learner); learns {
		return l.Learned(now)
	}
	return limit.Learned{}, false
}

// Resume gives the law what its predecessor has learned. It comes before the first Step.
func (p *Pool) Resume(kept limit.Learned, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, learns := p.limit.(limit.Learner); learns {
		l.Resume(kept, now)
	}
}
