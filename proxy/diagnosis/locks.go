package diagnosis

import (
	"fmt"
	"time"

	"pgguard/pool/event"
)

// lockLeast is how many must wait for locks, and lockShare which part of those that run, to be called trouble.
const (
	lockLeast = 3
	lockShare = 0.5
)

// waitsForLocks finds statements that wait for one another.
func waitsForLocks(j *Judge, s *Sight) (finding, bool) {
	if !s.Sampled {
		return finding{}, false
	}
	waiting, _ := s.waiting()
	running := max(s.Running, s.Waits.Total())
	f := finding{}
	f.State, f.Confidence = Locks, 0.9
	f.Evidence = event.Of(event.Number{Name: "blocked", Value: float64(s.Waits.Lock)}, event.Number{Name: "running", Value: float64(running)},
		event.Number{Name: "waiting", Value: float64(waiting)})
	if h := s.Holder; h != nil && h.Blocks >= lockLeast && 2*h.Blocks >= s.Waits.Lock && j.holdsOn(h) {
		f.holds(h, running)
		return f, true
	}
	if c := convoyOf(s); c != nil && c.Locked+waiting >= lockLeast {
		f.queues(c, waiting)
		return f, true
	}
	if s.Waits.Lock < lockLeast || float64(s.Waits.Lock) < lockShare*float64(running) {
		return finding{}, false
	}
	f.Cause, f.Confidence = "locks", 0.6
	f.Sentence = fmt.Sprintf("%d of %s that run wait for locks, of more than one holder.", s.Waits.Lock, count(running, "statement"))
	f.Advice = "See who blocks whom: select pid, pg_blocking_pids(pid), query from pg_stat_activity where wait_event_type = 'Lock'."
	return f, true
}

// holdsFor is for how long a holder must have done the same, or be the holder, to be one that others wait for; where it is another each time, it is
// the row that they wait for.
const holdsFor = 2 * time.Second

// holdsOn is true for a holder that stays.
func (j *Judge) holdsOn(h *Holder) bool {
	if h.Held >= holdsFor {
		return true
	}
	looks := 0
	for i := range j.sights {
		if before := j.sights[i].Holder; before != nil && before.PID == h.PID && j.last().At.Sub(j.sights[i].At) <= holdsFor {
			looks++
		}
	}
	return looks >= raise
}

// holds says who holds what most wait for.
func (f *finding) holds(h *Holder, running int) {
	f.Cause = "lock_holder"
	f.Culprit = culpritOf(h)
	who := inQuotes(f.Culprit.Who())
	if who == "" {
		who = "a session without a name"
	}
	f.Evidence = f.Evidence.With("blocks", float64(h.Blocks)).With("held_seconds", h.Held.Seconds()).With("pid", float64(h.PID))
	if h.PID == 0 {
		f.prepared(h)
		return
	}
	if t := h.Through; t != nil {
		f.Cause = "lock_line"
		through := culpritOf(t)
		f.Culprit.Through = &through
		f.Sentence = fmt.Sprintf("%s %s behind %s (pid %d), which waits for %s of %s (pid %d), %s for %s.",
			count(max(1, h.Blocks-1), "statement"), verb(max(1, h.Blocks-1), "stands", "stand"), through.words(), t.PID, f.Culprit.words(), who, h.PID, doing(h), span(h.Held))
		f.Advice = fmt.Sprintf("Cancel the one in between (select pg_cancel_backend(%d)) and the others go on; or end the first (select pg_terminate_backend(%d)). Give changes of tables a lock_timeout of a few seconds, and try again.",
			t.PID, h.PID)
		return
	}
	if h.Idle {
		f.Sentence = fmt.Sprintf("%s %s for locks of %s (pid %d), whose transaction has done nothing for %s since %s.",
			count(h.Blocks, "statement"), verb(h.Blocks, "waits", "wait"), who, h.PID, span(h.Held), f.Culprit.words())
		f.Advice = fmt.Sprintf("Have %s end its transaction before it does anything else; to end it now: select pg_terminate_backend(%d). pgguard ends one of its own that blocks others after 5 s.", who, h.PID)
		return
	}
	f.Sentence = fmt.Sprintf("%s %s for locks of %s (pid %d), which has run %s for %s.",
		count(h.Blocks, "statement"), verb(h.Blocks, "waits", "wait"), who, h.PID, f.Culprit.words(), span(h.Held))
	f.Advice = fmt.Sprintf("If it is not worth the wait: select pg_cancel_backend(%d). Change fewer rows at once, or the same rows in the same order.", h.PID)
}

// prepared says that nobody's session has what most wait for.
func (f *finding) prepared(h *Holder) {
	f.Cause = "prepared_transaction"
	f.Sentence = fmt.Sprintf("%s %s for locks of a prepared transaction, which outlives its session; the oldest was prepared %s ago.", count(h.Blocks, "statement"), verb(h.Blocks, "waits", "wait"), span(h.Held))
	f.Advice = "See which there are (select gid, prepared, owner, database from pg_prepared_xacts order by prepared), and have whoever prepared it end it, or do so in its database: COMMIT PREPARED, or ROLLBACK PREPARED, with its gid."
	if t := h.Through; t != nil {
		through := culpritOf(t)
		f.Culprit.Through = &through
		f.Advice += fmt.Sprintf(" Most stand behind %s (pid %d): cancel that (select pg_cancel_backend(%d)), and they go on.", through.words(), t.PID, t.PID)
	}
}

// doing is what a holder does.
func doing(h *Holder) string {
	if h.Idle {
		return "idle"
	}
	return "running"
}

// culpritOf is a holder as a culprit.
func culpritOf(h *Holder) Culprit {
	c := Culprit{Class: h.Class, Application: shown(h.Application), Client: shown(h.Client), PID: int(h.PID), Waiters: h.Blocks}
	c.describe(h.Named)
	return c
}

// convoyShare of the statements of a convoy must wait for its lock for that to be what is wrong: where fewer do, its bound is being let go, and
// those before PostgreSQL wait for their turn.
const convoyShare = 0.25

// lasts is true while statements of the convoy wait for one another.
func (c *Convoy) lasts() bool {
	return c.Bound > 0 && c.Locked > 0 && float64(c.Locked) >= convoyShare*float64(c.Running)
}

// convoyOf is the convoy in which most wait, nil if there is none. One whose name is known says more than one without.
func convoyOf(s *Sight) (most *Convoy) {
	for i := range s.Convoys {
		c := &s.Convoys[i]
		switch {
		case !c.lasts():
		case most == nil, c.Called != "" && most.Called == "", (c.Called != "") == (most.Called != "") && c.Locked > most.Locked:
			most = c
		}
	}
	return most
}

// queues says that many change the same row.
func (f *finding) queues(c *Convoy, waiting int) {
	f.Cause = "lock_convoy"
	f.Culprit.describe(c.Named)
	f.Culprit.Fingerprint, f.Culprit.Waiters = fingerprint(c.Fingerprint), c.Locked+waiting
	f.Sentence = fmt.Sprintf("Everybody wants the same row: %d of %d that run %s wait for its lock; pgguard lets %d at once run, and %s before PostgreSQL instead of in it.",
		c.Locked, c.Running, f.Culprit.words(), c.Bound, waits(waiting))
	f.Advice = "Change that row less often or later in the transaction: a counter as rows that are summed up, a queue with SKIP LOCKED, an UPDATE right before COMMIT."
	f.Evidence = f.Evidence.With("bound", float64(c.Bound)).With("convoy_running", float64(c.Running)).With("convoy_blocked", float64(c.Locked))
}
