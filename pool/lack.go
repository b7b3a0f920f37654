package pool

import "time"

// refusedLocked says why w is not served, and with what numbers. It does not wait any more.
func (p *Pool) refusedLocked(w *Waiter, reason string, waited time.Duration) error {
	e := &RefusedError{
		Reason: reason, Class: p.cfg.Classes[w.Class].Name, Waited: waited,
		Waiting: p.queue.Waiting(w.Class), Active: p.running, InGap: p.gaps.n, Limit: p.limitLocked(),
		Lent: p.count[Lent], Own: p.lent[w.Class], Cap: p.cap.now, Idle: p.count[Lent] - p.working - p.parked,
		Expected: p.queue.Wait(w.Class, w.place.Lane), InTime: p.queue.InTime(&w.place),
	}
	if waited > 0 {
		e.Waiting++
	}
	e.Lack, e.Err = p.lackLocked(w)
	return e
}

// lackLocked says what w lacks now, what it would have the least of first.
func (p *Pool) lackLocked(w *Waiter) (Lack, error) {
	if p.ceiling != NoCeiling && p.tokensLocked() >= p.ceiling {
		return LackCeiling, p.backoff.err
	}
	if w.own.Server == nil && len(w.Key.idle) == 0 {
		switch {
		case p.lent[w.Class] >= p.shareLocked(w.Class):
			return LackShare, nil
		case !p.slotLocked(w.Class):
			return LackReserve, nil
		case w.Key.full != nil || !p.allowedLocked(w.Key):
			return LackKey, w.Key.full
		case p.backoff.full != nil && p.count[Lent] > 0 && p.count[Idle] == 0:
			return LackLogin, p.backoff.full
		case p.count[Lent] >= p.cap.now:
			return LackServer, nil
		}
	}
	if !w.Login && (!p.tokenLocked() || !w.Urgent && p.keptFromLocked(w.Class)) {
		return LackToken, nil
	}
	if !w.Login && !p.printLocked(w.Print) {
		if b := p.prints.bound[w.Print]; b.Cap > 0 && int(p.prints.running[w.Print]) >= p.convoyCapLocked(b) {
			return LackConvoy, nil
		}
		return LackSlow, nil
	}
	switch {
	case w.own.Server == nil && !w.Urgent && p.lent[w.Class] >= p.shareLocked(w.Class):
		return LackShare, nil
	case w.own.Server == nil && !w.Urgent && !p.slotLocked(w.Class):
		return LackReserve, nil
	}
	if p.backoff.full != nil {
		return LackLogin, p.backoff.full
	}
	return LackLogin, p.backoff.err
}
