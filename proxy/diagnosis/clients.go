package diagnosis

import (
	"fmt"

	"pgguard/pool/event"
)

// Which part of the servers that are lent clients must hold up to be called the cause, and how many at least.
const (
	heldShare = 0.5
	heldLeast = 3
)

// unread finds clients that do not read what they asked for.
func unread(j *Judge, s *Sight) (finding, bool) {
	most, all := mostOf(s, func(c *Crowd) int { return c.Unread })
	waiting, _ := s.waiting()
	if all < heldLeast || float64(all) < heldShare*float64(s.Lent) || (waiting == 0 && 2*all < s.Cap) {
		return finding{}, false
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = SlowReaders, "unread", 0.95
	f.Culprit = crowdCulprit(most)
	f.Sentence = fmt.Sprintf("PostgreSQL is not the bottleneck: %d of the %s in use wait until clients of %s read what they asked for%s.",
		all, count(s.Lent, "connection"), f.Culprit.named(), behind(waiting))
	f.Advice = fmt.Sprintf("Have %s read large results in portions (a cursor, LIMIT, a stream that is read on), or see why it hangs.", f.Culprit.named())
	f.Evidence = event.Of(event.Number{Name: "unread", Value: float64(all)}, event.Number{Name: "of_culprit", Value: float64(most.Unread)},
		event.Number{Name: "servers", Value: float64(s.Lent)}, event.Number{Name: "cap", Value: float64(s.Cap)}, event.Number{Name: "waiting", Value: float64(waiting)})
	return f, true
}

// idleTransactions finds transactions that do nothing and have the servers that others wait for.
func idleTransactions(j *Judge, s *Sight) (finding, bool) {
	most, all := mostOf(s, func(c *Crowd) int { return c.Idling })
	waiting, _ := s.waiting()
	free := s.Cap - s.Lent
	if all < heldLeast || float64(all) < heldShare*float64(s.Lent) || (waiting == 0 && free > s.Cap/10) || most.Oldest.Seconds() < 1 {
		return finding{}, false
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = IdleInTx, "idle_in_transaction", 0.95
	f.Culprit = crowdCulprit(most)
	share := fmt.Sprintf("of %s", f.Culprit.named())
	if most.Idling < all {
		share = fmt.Sprintf("(%d of %s)", most.Idling, f.Culprit.named())
	}
	f.Sentence = fmt.Sprintf("PostgreSQL is not the bottleneck: %d of %s sit idle in transactions %s, the longest for %s%s.",
		all, count(s.Lent, "connection"), share, span(most.Oldest), behind(waiting))
	f.Advice = fmt.Sprintf("Have %s end its transaction before slow work that is not SQL (calls of other services, files, sleep). pgguard ends the oldest while others wait.", f.Culprit.named())
	f.Evidence = event.Of(event.Number{Name: "idle", Value: float64(all)}, event.Number{Name: "of_culprit", Value: float64(most.Idling)},
		event.Number{Name: "servers", Value: float64(s.Lent)}, event.Number{Name: "cap", Value: float64(s.Cap)},
		event.Number{Name: "oldest_seconds", Value: most.Oldest.Seconds()}, event.Number{Name: "waiting", Value: float64(waiting)})
	return f, true
}

// behind says how many wait, if any do.
func behind(waiting int) string {
	if waiting == 0 {
		return ""
	}
	return fmt.Sprintf("; %s %s", count(waiting, "statement"), verb(waiting, "waits", "wait"))
}

// mostOf is the crowd with most of something, and how many all have together.
func mostOf(s *Sight, of func(*Crowd) int) (most *Crowd, all int) {
	for i := range s.Crowds {
		c := &s.Crowds[i]
		n := of(c)
		if all += n; most == nil || n > of(most) {
			most = c
		}
	}
	if most == nil {
		most = &Crowd{}
	}
	return most, all
}

// crowdCulprit is a crowd as a culprit.
func crowdCulprit(c *Crowd) Culprit {
	out := Culprit{Class: c.Class, Application: shown(c.Application), Client: shown(c.Client), PID: int(c.PID), Fingerprint: fingerprint(c.Print)}
	out.describe(c.Named)
	return out
}

// named is who the culprit is, or a word for one that has no name.
func (c *Culprit) named() string {
	if who := c.Who(); who != "" {
		return inQuotes(who)
	}
	return "clients without an application_name"
}
