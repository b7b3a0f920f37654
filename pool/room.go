package pool

import "time"

// At the cap, (database, user) pairs are served by who waits longest: a server that has served its turn makes room when somebody of
// another pair has waited longer than all of its own. A turn is short enough that everybody's comes within turnRound, and never
// shorter than turnLeast, five times what a login costs. One that nobody has used for turnIdle serves nobody's turn.
const (
	turnRound = 500 * time.Millisecond
	turnMost  = 100 * time.Millisecond
	turnLeast = 25 * time.Millisecond
	turnIdle  = 10 * time.Millisecond
)

// turnLocked is how long a server serves its key when others wait for a server of theirs.
func (p *Pool) turnLocked() time.Duration {
	starved := 0
	for _, k := range p.list {
		if len(k.idle)+k.opening > 0 {
			continue
		}
		if n, _ := p.waitingLocked(k); n > 0 && k.open == 0 {
			starved++
		}
	}
	return min(turnMost, max(turnLeast, turnRound*time.Duration(p.cap.now)/time.Duration(max(1, starved))))
}

// makingRoomLocked says whether as many servers are closing or being opened as may be at once.
func (p *Pool) makingRoomLocked() bool { return p.count[Closing]+p.count[Opening] >= p.cfg.Dials }

// evictLocked makes room for a server of key k: the server of another key that has been idle longest is closed, if its turn is over.
// Where only the limit of k's user or database is in the way, it must be one of the same.
func (p *Pool) evictLocked(k *Key, allowed bool, now time.Time) *Server {
	if p.count[Idle] == 0 {
		return nil
	}
	var oldest *Server
	turn := time.Duration(0)
	for _, other := range p.list {
		if other == k || len(other.idle) == 0 || !allowed && !p.helpsLocked(k, other) {
			continue
		}
		s := other.idle[0]
		if oldest != nil && !s.since.Before(oldest.since) {
			continue
		}
		if now.Sub(s.since) < turnIdle {
			if turn == 0 {
				turn = p.turnLocked()
			}
			if now.Sub(s.opened) < turn {
				continue
			}
		}
		oldest = s
	}
	if oldest != nil {
		p.moveLocked(oldest, Closing, now)
	}
	return oldest
}

// helpsLocked says whether one server less of key other lets one of k be opened that the limit of its user or database forbids.
func (p *Pool) helpsLocked(k, other *Key) bool {
	return p.spareLimitsLocked(k).lets(k.User == other.User, k.Database == other.Database, k.countsWith(other))
}

// yieldsLocked says whether a server that comes back must make room for one of another key: there is no room otherwise, its turn is
// over, and somebody of that key has waited longer than all of its own. One that has servers yields and is yielded to more seldom, so
// that two busy keys do not change places all the time.
func (p *Pool) yieldsLocked(s *Server, now time.Time) bool {
	if p.queue.Len() == 0 || len(p.list) < 2 || len(p.servers) < p.cap.now && !p.limitedLocked() {
		return false
	}
	if p.makingRoomLocked() || now.Before(p.backoff.retry) || now.Sub(s.opened) < turnLeast {
		return false
	}
	p.pass++
	for {
		k := p.nextKeyLocked(s.Key, now)
		if k == nil || len(k.idle)+k.opening > 0 {
			return false
		}
		allowed := p.allowedLocked(k)
		if allowed && len(p.servers) < p.cap.now {
			return false
		}
		if !allowed && !p.helpsLocked(k, s.Key) {
			k.passed = p.pass
			continue
		}
		_, since := p.waitingLocked(k)
		own := now
		if n, at := p.waitingLocked(s.Key); n > 0 {
			own = at
		}
		turn := p.turnLocked()
		if k.open > 0 {
			since = since.Add(turn)
		}
		return since.Before(own) && now.Sub(s.opened) >= turn && p.eldestLocked(s, k, turn, now)
	}
}

// eldestLocked says whether no server of another key than k has served for longer than s, but for those that are held by one transaction
// for longer than a turn: as few make room at once, it is their turn first.
func (p *Pool) eldestLocked(s *Server, k *Key, turn time.Duration, now time.Time) bool {
	for o := range p.servers {
		if o != s && o.Key != k && o.opened.Before(s.opened) && !o.parked && (o.state == Idle || o.state == Lent && now.Sub(o.since) < turn) {
			return false
		}
	}
	return true
}

// holdsLocked says whether servers of the pool, or one that ended a moment ago, are among those that the limit of k's user, or of its
// database, counts: then k's turn comes.
func (p *Pool) holdsLocked(k *Key, database bool, now time.Time) bool {
	for _, other := range p.list {
		same := other.User == k.User
		if database {
			same = other.Database == k.Database
		}
		if same && (other.open > 0 || now.Sub(other.left) < time.Second) {
			return true
		}
	}
	return false
}
