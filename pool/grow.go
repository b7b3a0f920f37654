package pool

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Back-off between failed logins. The first tries are quick, because most failures are a server that restarts; the
// longest is short, because a refused connection costs nobody anything.
const (
	backoffFirst = 50 * time.Millisecond
	backoffLast  = time.Second
	rejectLast   = 5 * time.Second
	// fullLast is for a user or database that has as many connections as it may have: whoever asks PostgreSQL himself is told at
	// once, and served as soon as one of them has gone.
	fullLast = 250 * time.Millisecond
)

// backoff spaces logins after failures that concern the whole instance.
type backoff struct {
	failures int
	retry    time.Time
	err      error // of the last failure to reach the server; nil after a success
	full     error // of the last login, if the server had no connection left; else nil
	made     bool  // one of ours has made room for another since
}

// after returns the wait after n failures: doubled each time up to last, less up to half of it by chance, so that many
// guards do not come back together.
func after(n int, last time.Duration) time.Duration {
	d := min(last, backoffFirst<<min(n, 10))
	return d - rand.N(d/2+1)
}

// growLocked starts the logins that waiting work can use, for who waits longest first. It may return an idle server of another key,
// already moved to Closing, that the caller closes after unlocking to make room.
func (p *Pool) growLocked(now time.Time) (evicted *Server) {
	if p.queue.Len() == 0 || p.closed {
		return nil
	}
	if p.logging == 0 && !p.tokenLocked() && !p.bareLocked() {
		return nil
	}
	paused := now.Before(p.backoff.retry)
	if paused && p.backoff.full == nil {
		return nil
	}
	p.pass++
	for p.count[Opening] < p.cfg.Dials {
		k := p.nextKeyLocked(nil, now)
		if k == nil {
			return nil
		}
		allowed := p.allowedLocked(k)
		if allowed && !paused && len(p.servers) < p.cap.now {
			p.openLocked(k, now)
			continue
		}
		if p.makingRoomLocked() || paused && (p.backoff.made || k.open > 0) {
			return nil
		}
		if s := p.evictLocked(k, allowed, now); s != nil || allowed {
			p.backoff.made = paused && s != nil
			return s
		}
		k.passed = p.pass // it waits for its own servers, and holds up nobody else
	}
	return nil
}

// nextKeyLocked returns the key for which a server should be opened next, nil if there is none: of those whose work has none to come
// the one with the waiter who waits longest, else of the others. Those passed by in this search, and not, are left out.
func (p *Pool) nextKeyLocked(not *Key, now time.Time) *Key {
	var best *Key
	var least time.Time
	served := true
	for _, k := range p.list {
		if k == not || k.passed == p.pass || !p.wantsLocked(k, now) {
			continue
		}
		_, since := p.waitingLocked(k)
		comes := len(k.idle)+k.opening > 0
		if best == nil || served && !comes || served == comes && since.Before(least) {
			best, least, served = k, since, comes
		}
	}
	return best
}

// wantsLocked says whether one more server of key k would serve somebody who waits.
func (p *Pool) wantsLocked(k *Key, now time.Time) bool {
	if now.Before(k.retry) {
		return false
	}
	want, _ := p.waitingLocked(k)
	if tokens := p.freeForLocked(k); !p.free && want > tokens {
		// Logins that wait to be told the server's parameters take no token, so one server is always worth opening
		// for a key that has none.
		want = max(tokens, 0)
		if k.open == 0 {
			want = max(want, 1)
		}
	}
	return want > len(k.idle)+k.opening
}

// bareLocked says whether somebody waits for a key that has no server at all. One is worth opening for it even while
// there is no run token, because its waiters are passed over until there is.
func (p *Pool) bareLocked() bool {
	for _, k := range p.list {
		if k.open > 0 {
			continue
		}
		for i := range k.lines {
			if k.lines[i].n > 0 {
				return true
			}
		}
	}
	return false
}

func (p *Pool) openLocked(k *Key, now time.Time) {
	s := &Server{Key: k, since: now, began: now}
	if k.Most.Reserve > 0 && k.Most.Login > 0 {
		s.Reserve = p.openByPairLocked()[k.pair()] >= k.Most.Login
	}
	p.servers[s] = struct{}{}
	p.count[Opening]++
	k.open++
	k.opening++
	p.owned.Add(1)
	go p.serve(s)
}

// serve opens a server and then is its goroutine until it ends.
func (p *Pool) serve(s *Server) {
	defer p.owned.Done()
	conn, err := p.dial(p.ctx, s)
	now := time.Now()
	if err != nil {
		p.failed(s, err, now)
		return
	}
	p.mu.Lock()
	p.tallyLocked(now)
	s.Conn, s.opened = conn, now
	s.Key.opening--
	s.Key.rejected, s.Key.full, s.Key.failures = nil, nil, 0
	p.backoff = backoff{}
	p.logins["ok"]++
	if len(p.servers) >= p.cap.now {
		p.cap.raise(now)
	}
	p.ageLocked(s)
	switch {
	case p.closed:
		p.moveLocked(s, Closing, now)
		p.mu.Unlock()
		conn.Close("shutdown")
	case s.retired != "":
		p.moveLocked(s, Closing, now)
		p.grantAll(now)
		conn.Close(s.retired)
	default:
		p.moveLocked(s, Idle, now)
		p.grantAll(now)
	}
	conn.Run()
	p.gone(s)
}

// failed takes back a server that could not be opened.
func (p *Pool) failed(s *Server, err error, now time.Time) {
	var tooMany *TooManyError
	var rejected *RejectedError
	var full *KeyFullError
	k := s.Key
	told := false // whoever waits for the key
	p.mu.Lock()
	p.tallyLocked(now)
	delete(p.servers, s)
	p.count[Opening]--
	k.open--
	k.opening--
	switch {
	case errors.As(err, &tooMany):
		p.logins["refused"]++
		p.cap.lower(len(p.servers), now)
		p.backoff = backoff{p.backoff.failures + 1, now.Add(after(p.backoff.failures, backoffLast)), p.backoff.err, tooMany, false}
	case errors.As(err, &full):
		p.logins["refused"]++
		last := backoffLast
		if told = !p.holdsLocked(k, full.Database, now); told {
			last = fullLast
		}
		k.full, k.retry = full, now.Add(after(k.failures, last))
		k.failures++
	case errors.As(err, &rejected):
		p.logins["failed"]++
		told = true
		k.rejected, k.retry = err, now.Add(after(k.failures+2, rejectLast))
		k.failures++
	default:
		p.logins["failed"]++
		p.backoff = backoff{p.backoff.failures + 1, now.Add(after(p.backoff.failures, backoffLast)), err, nil, false}
	}
	p.grantAll(now)
	if told {
		p.refuse(err, func(w *Waiter) bool { return w.Key == k && w.losesBy(k) })
	}
}

// losesBy says whether a waiter of key k is told that the server refuses a login: who logs in is, but those who are in already are served
// by the servers there are.
func (w *Waiter) losesBy(k *Key) bool { return w.Login || k.open == 0 }

// Pardon forgets that the server has refused a login of key k: it does not any more.
func (p *Pool) Pardon(k *Key) {
	now := time.Now()
	p.mu.Lock()
	p.tallyLocked(now)
	k.rejected, k.retry, k.failures = nil, time.Time{}, 0
	p.grantAll(now)
}

// gone removes a server whose connection has ended. One that was lent in that very moment stays on the books until
// its lessee, who finds it dead, discards it.
func (p *Pool) gone(s *Server) {
	now := time.Now()
	p.mu.Lock()
	p.tallyLocked(now)
	if s.state == Lent {
		s.dead = true
		p.mu.Unlock()
		return
	}
	p.removeLocked(s)
	p.grantAll(now)
}

func (p *Pool) removeLocked(s *Server) {
	k := s.Key
	if s.state == Idle {
		p.moveLocked(s, Closing, s.since)
	}
	p.count[s.state]--
	s.state = Closing
	delete(p.servers, s)
	k.open--
	k.left = time.Now()
}
