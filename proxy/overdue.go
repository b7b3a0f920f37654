package proxy

import (
	"cmp"
	"time"

	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// Timeouts are after how long a client is disconnected, whoever waits; 0: never. What it has begun is rolled back, its server is others'.
type Timeouts struct {
	Statement         time.Duration // runs: from when it was sent to a server
	Transaction       time.Duration // lasts: from its first statement, or, while it has none, from its BEGIN
	IdleInTransaction time.Duration // does nothing in it
	Idle              time.Duration // does nothing, between two transactions
}

// or is t with those of o where it has none.
func (t Timeouts) or(o Timeouts) Timeouts {
	return Timeouts{cmp.Or(t.Statement, o.Statement), cmp.Or(t.Transaction, o.Transaction), cmp.Or(t.IdleInTransaction, o.IdleInTransaction), cmp.Or(t.Idle, o.Idle)}
}

// shortest is the shortest of them; 0: there is none.
func (t Timeouts) shortest() (least time.Duration) {
	for _, d := range []time.Duration{t.Statement, t.Transaction, t.IdleInTransaction, t.Idle} {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// The answers to who has taken too long, as PostgreSQL gives them, and what PgBouncer says.
var (
	overdueStatement = overdue{&Refusal{Reason: ReasonStatementTimeout, Message: "terminating connection due to statement timeout"}, "query timeout"}
	overdueBlock     = overdue{&Refusal{Reason: ReasonTransactionTimeout, Message: "terminating connection due to transaction timeout"}, "transaction timeout"}
	overdueIdleBlock = overdue{&Refusal{Reason: ReasonIdleTransaction, Message: "terminating connection due to idle-in-transaction timeout"}, "idle transaction timeout"}
	overdueIdle      = overdue{&Refusal{Reason: ReasonIdle, Message: "terminating connection due to idle-session timeout"}, "client_idle_timeout"}
)

// overdue is one way to take too long. The zero value is none.
type overdue struct {
	told   *Refusal
	theirs string // PgBouncer's words
}

// words is the answer in the words of whom the guard is like.
func (o overdue) words(cfg *Config) *Refusal {
	if cfg.LikePgBouncer {
		return &Refusal{Reason: o.told.Reason, Message: o.theirs}
	}
	return o.told
}

// sighting is what the last look saw of a session, and since when it has been so. It is endOverdue's.
type sighting struct {
	moves uint64    // bytes and statements, ever
	since time.Time // they have been so many
	begun uint64    // transactions without a statement, ever
	block time.Time // since when the last of them has been there; zero: it is not
	held  time.Time // when what its client had sent was held up by Suspend
}

// mostLooks is how often a time is looked at at most while it passes: somebody is disconnected so late as one of these parts.
const mostLooks = 10

// endOverdue disconnects clients that take longer than Config.Timeouts let them, until the Server closes. Where there are none it looks at nobody.
func (srv *Server) endOverdue() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-srv.ctx.Done():
			return
		case now := <-t.C:
			cfg, pause := srv.cfg(), sock.LookEvery
			if least := cfg.shortestTimeout(); least > 0 {
				pause = max(20*time.Millisecond, min(pause, least/mostLooks))
				for _, s := range srv.all() {
					if told := s.endOverdue(cfg, now); told != nil {
						s.kick(told)
					}
				}
			}
			t.Reset(pause)
		}
	}
}

// shortestTimeout is the shortest of anybody; 0: there is none.
func (c *Config) shortestTimeout() time.Duration {
	least := c.Timeouts.shortest()
	for _, u := range c.Users {
		if d := u.Timeouts.shortest(); d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// endOverdue ends the session if it takes too long, before what its client asks for next can begin: nobody is told that a transaction was idle whose
// COMMIT runs. It returns what the client is to be told; nil: it goes on. It is called by the Server's endOverdue alone.
func (s *session) endOverdue(cfg *Config, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.overdueLocked(cfg.Users[s.user].Timeouts.or(cfg.Timeouts), now)
	if o.told == nil {
		return nil
	}
	told := o.words(cfg)
	s.endLocked(told)
	return told
}

// overdueLocked says for what the session takes too long. Who is held up by Suspend does not: that he is idle, and how long his transaction lasts, counts anew behind it.
func (s *session) overdueLocked(t Timeouts, now time.Time) overdue {
	over := func(since time.Time, d time.Duration) bool { return d > 0 && !since.IsZero() && now.Sub(since) > d }
	if s.close != nil || s.walsender != nil {
		return overdue{}
	}
	s.sightLocked(now)
	if s.suspendedLocked() {
		s.seen.held = now
		return overdue{}
	}
	l, runs := s.link, false
	idle, block := s.seen.since, s.seen.block
	switch s.state {
	case running, preparing:
		if block, runs = l.txStarted, true; l.b.waits.Load() {
			runs, idle = false, l.idleSince
		}
	case idling:
		block, idle = l.txStarted, l.idleSince
	case free, parked:
	default: // who waits has bounds of his own
		return overdue{}
	}
	idle = later(idle, s.seen.held)
	if !block.IsZero() {
		block = later(block, s.seen.held)
	}
	switch {
	case runs && over(l.started, t.Statement):
		return overdueStatement
	case over(block, t.Transaction):
		return overdueBlock
	case runs:
	case !block.IsZero() && over(idle, t.IdleInTransaction):
		return overdueIdleBlock
	case block.IsZero() && over(idle, t.Idle):
		return overdueIdle
	}
	return overdue{}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// sightLocked looks at the session.
func (s *session) sightLocked(now time.Time) {
	v := &s.seen
	if moves := s.did.received.Load() + s.did.sent.Load() + s.did.queries.Load(); moves != v.moves || v.since.IsZero() {
		v.moves, v.since = moves, now
	}
	switch {
	case s.state != free || s.local == wire.Idle:
		v.block = time.Time{}
	case v.block.IsZero() || v.begun != s.begun:
		v.block, v.begun = now, s.begun
	}
}
