package pool

import (
	"context"
	"time"
)

// tick is how often late waiters are refused and spare servers looked at: far below the shortest wait anybody sets,
// far above what it costs.
const tick = 50 * time.Millisecond

// Run refuses who has waited too long, lets dials happen again after a back-off, and closes spare servers, until ctx
// ends.
func (p *Pool) Run(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	var second time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		p.expire()
		now := time.Now()
		if now.Sub(second) >= time.Second {
			second = now
			p.tidy(now)
		}
	}
}

// expire refuses everybody whose longest wait is over, then looks again whether somebody can be served. To tell one takes as long as it takes, in
// which others begin to wait: the clock is read for each.
func (p *Pool) expire() {
	for {
		p.mu.Lock()
		now := time.Now()
		p.tallyLocked(now)
		place := p.queue.Expire(now)
		if place == nil {
			p.watchLocked(now)
			p.grantAll(now)
			return
		}
		w := place.Value
		waited := now.Sub(place.Since())
		if p.free && !place.Urgent {
			p.wouldLocked(place.Late().String(), w.Class)
			place.Urgent = true
			p.queue.Push(place, now)
			p.mu.Unlock()
			continue
		}
		p.leftLocked(w)
		p.wait[w.Class].observe(waited)
		err := p.refusedLocked(w, place.Late().String(), waited)
		p.mu.Unlock()
		w.Grantee.Refused(err)
	}
}

// tidy closes at most one idle server that is over its idle time, its lifetime or the cap, the one idle longest, so
// that spare servers leave one by one; and lets a lowered cap rise.
func (p *Pool) tidy(now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.learnLocked(now)
	p.cap.raise(now)
	var s *Server
	why := ""
	for _, k := range p.keys {
		for _, c := range k.idle {
			if s != nil && !c.since.Before(s.since) {
				break
			}
			if reason := p.spareLocked(c, now); reason != "" {
				s, why = c, reason
			}
		}
	}
	if s != nil {
		p.moveLocked(s, Closing, now)
	}
	p.grantAll(now)
	if s != nil {
		s.Conn.Close(why)
	}
}

// spareLocked says why an idle server should be closed, or "".
func (p *Pool) spareLocked(s *Server, now time.Time) string {
	switch {
	case p.overLocked():
		return "over the cap"
	case p.cfg.IdleTimeout > 0 && now.Sub(s.since) > p.cfg.IdleTimeout-spreadLocked(s, p.cfg.IdleTimeout):
		return "idle"
	case !s.expires.IsZero() && now.After(s.expires):
		return "lifetime"
	}
	return ""
}

// spreadLocked varies the idle time of a server by up to a tenth, always by the same for the same server.
func spreadLocked(s *Server, d time.Duration) time.Duration {
	return d / 10 * time.Duration(s.expires.UnixNano()&15) / 15
}
