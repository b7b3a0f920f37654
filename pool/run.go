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
	over := time.NewTimer(time.Hour)
	defer over.Stop()
	p.timeBy(over)
	defer p.timeBy(nil)
	var second time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			p.gapOver()
			continue
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

// lateAtOnce is how many are taken out at most while the lock is held: more, and who asks would feel it.
const lateAtOnce = 1000

// expire refuses everybody whose longest wait is over, then looks again whether somebody can be served. To tell some takes as long as it
// takes, in which others begin to wait: the clock is read anew.
func (p *Pool) expire() {
	for {
		p.mu.Lock()
		now := time.Now()
		p.tallyLocked(now)
		late, errs := p.takeLateLocked(now)
		if len(late) == 0 {
			if p.prints.turned {
				p.sortLocked()
			}
			p.watchLocked(now)
			p.grantAll(now)
			return
		}
		p.mu.Unlock()
		for i, w := range late {
			w.Grantee.Refused(errs[i])
		}
	}
}

// takeLateLocked takes out some whose longest wait is over, with what they are to be told. The slices are good until it is called again.
func (p *Pool) takeLateLocked(now time.Time) ([]*Waiter, []error) {
	p.late, p.lateErrs = p.late[:0], p.lateErrs[:0]
	for len(p.late) < lateAtOnce {
		place := p.queue.Expire(now)
		if place == nil {
			break
		}
		w := place.Value
		if p.free && !place.Urgent {
			p.wouldLocked(place.Late().String(), w.Class)
			place.Urgent = true
			p.queue.Push(place, now)
			continue
		}
		waited := now.Sub(place.Since())
		p.leftLocked(w)
		p.wait[w.Class].observe(waited)
		p.late, p.lateErrs = append(p.late, w), append(p.lateErrs, p.refusedLocked(w, place.Late().String(), waited))
	}
	return p.late, p.lateErrs
}

// tidy closes at most one idle server that is over its idle time, its lifetime or the cap, the one idle longest, so
// that spare servers leave one by one; and lets a lowered cap rise.
func (p *Pool) tidy(now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.learnLocked(now)
	p.learnGapLocked()
	p.cap.raise(now)
	var s *Server
	why := ""
	var open map[pair]int
	if p.readies {
		open = p.openByPairLocked()
	}
	for _, k := range p.keys {
		standby := p.standbyLocked(k, open)
		for _, c := range k.idle {
			if s != nil && !c.since.Before(s.since) {
				break
			}
			if reason := p.spareLocked(c, standby, now); reason != "" {
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

// spareLocked says why an idle server should be closed, or "". One that stands by may be idle for as long as it likes.
func (p *Pool) spareLocked(s *Server, standby bool, now time.Time) string {
	switch {
	case p.overLocked():
		return "over the cap"
	case !standby && p.cfg.IdleTimeout > 0 && now.Sub(s.since) > p.cfg.IdleTimeout-spreadLocked(s, p.cfg.IdleTimeout):
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
