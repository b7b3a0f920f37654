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
)

// backoff spaces logins after failures that concern the whole instance.
type backoff struct {
	failures int
	retry    time.Time
	err      error // of the last failure; nil after a success
}

// after returns the wait after n failures: doubled each time up to last, less up to half of it by chance, so that many
// guards do not come back together.
func after(n int, last time.Duration) time.Duration {
	d := min(last, backoffFirst<<min(n, 10))
	return d - rand.N(d/2+1)
}

// growLocked starts the logins that waiting work can use. It may return an idle server of another key, already moved
// to Closing, that the caller closes after unlocking to make room.
func (p *Pool) growLocked(now time.Time) (evicted *Server) {
	if p.queue.Len() == 0 || p.closed || p.count[Opening] >= p.cfg.Dials || now.Before(p.backoff.retry) {
		return nil
	}
	if p.logging == 0 && !p.tokenLocked() && !p.bareLocked() {
		return nil
	}
	// Keys without a server come first, so that a busy key does not take every place that becomes free.
	for _, bare := range [...]bool{true, false} {
		for _, k := range p.list {
			if bare && k.open > 0 {
				continue
			}
			for p.wantsLocked(k, now) && p.allowedLocked(k) {
				if len(p.servers) >= p.cap.now {
					if p.count[Closing] == 0 && evicted == nil {
						evicted = p.evictLocked(k, now)
					}
					break
				}
				if p.count[Opening] >= p.cfg.Dials {
					break
				}
				p.openLocked(k, now)
			}
		}
	}
	return evicted
}

// wantsLocked says whether one more server of key k would serve somebody who waits.
func (p *Pool) wantsLocked(k *Key, now time.Time) bool {
	if now.Before(k.retry) {
		return false
	}
	want := 0
	for class, n := range k.waiting {
		if n > 0 && (p.roomLocked(class) || p.queue.Waiting(class) == 0) {
			want += n
		}
	}
	if tokens := p.limitLocked() - p.running + p.refundLocked(); !p.free && want > tokens {
		// Logins that wait to be told the server's parameters take no token, so one server is always worth opening
		// for a key that has none.
		want = max(tokens, 0)
		if k.open == 0 {
			want = max(want, 1)
		}
	}
	return want > len(k.idle)+k.opening
}

// evictLocked makes room for a server of key k: the server of another key that has been idle longest is closed.
func (p *Pool) evictLocked(k *Key, now time.Time) *Server {
	var oldest *Server
	for _, other := range p.list {
		if other == k || len(other.idle) == 0 {
			continue
		}
		if s := other.idle[0]; oldest == nil || s.since.Before(oldest.since) {
			oldest = s
		}
	}
	if oldest != nil {
		p.moveLocked(oldest, Closing, now)
	}
	return oldest
}

// bareLocked says whether somebody waits for a key that has no server at all. One is worth opening for it even while
// there is no run token, because its waiters are passed over until there is.
func (p *Pool) bareLocked() bool {
	for _, k := range p.list {
		if k.open > 0 {
			continue
		}
		for _, n := range k.waiting {
			if n > 0 {
				return true
			}
		}
	}
	return false
}

// starvedLocked says whether a server of key k must make room when it comes back: at the cap, a key that has no server at
// all would otherwise wait for as long as k has work.
func (p *Pool) starvedLocked(k *Key, now time.Time) bool {
	if p.queue.Len() == 0 || len(p.list) < 2 || len(p.servers) < p.cap.now || p.count[Closing] > 0 || now.Before(p.backoff.retry) {
		return false
	}
	for _, other := range p.list {
		if other != k && other.open == 0 && p.wantsLocked(other, now) && p.allowedLocked(other) {
			return true
		}
	}
	return false
}

func (p *Pool) openLocked(k *Key, now time.Time) {
	s := &Server{Key: k, since: now, opened: now}
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
	s.Conn = conn
	s.Key.opening--
	s.Key.rejected, s.Key.failures = nil, 0
	p.backoff = backoff{}
	p.logins["ok"]++
	if p.cfg.Lifetime > 0 {
		s.expires = now.Add(p.cfg.Lifetime - rand.N(p.cfg.Lifetime/10+1))
	}
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
	k := s.Key
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
		p.backoff.failures, p.backoff.retry = p.backoff.failures+1, now.Add(after(p.backoff.failures, backoffLast))
	case errors.As(err, &rejected):
		p.logins["failed"]++
		k.rejected, k.retry = err, now.Add(after(k.failures+2, rejectLast))
		k.failures++
	default:
		p.logins["failed"]++
		p.backoff = backoff{p.backoff.failures + 1, now.Add(after(p.backoff.failures, backoffLast)), err}
	}
	p.grantAll(now)
	if rejected != nil {
		p.refuse(err, func(w *Waiter) bool { return w.Key == k })
	}
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
}
