package diagnosis

import (
	"fmt"

	"pgguard/pool/event"
)

// When one kind of statement is the cause.
const (
	dominant  = 0.4 // of the time that all take
	slowTimes = 4.0 // as long as usual
	slowOther = 2.5 // times as much slower as the others have become
	moreTimes = 1.8 // as often, compared with the others
	ownTimes  = 1.2 // as often, where that is so compared with the others: they may come less often for reasons of their own
	floodRate = 2.0 // a second, at least: what comes less often may be much work, but is no flood
	pressing  = 0.6 // of the limit running: below there is room for it
)

// heaviest is the kind of statement that takes most time, nil if none runs.
func heaviest(list []recent) (most *recent) {
	for i := range list {
		if most == nil || list[i].busy > most.busy {
			most = &list[i]
		}
	}
	return most
}

// pressedBy is the state where one kind of statement is the cause, and what is said of those that wait. False: there is room for it.
func (j *Judge) pressedBy(s *Sight) (state State, text string, pressed bool) {
	waiting, oldest := s.waiting()
	refused, _ := j.refused()
	running := j.mean(func(s *Sight) float64 { return float64(s.Running) })
	switch {
	case refused > 0:
		return Shedding, fmt.Sprintf("; %s %s refused within %s", count(refused, "statement"), verb(refused, "was", "were"), seconds(j.length())), true
	case waiting > 0:
		return Guarding, fmt.Sprintf("; %s for up to %s", waits(waiting), span(oldest)), true
	}
	return Guarding, "", running >= pressing*float64(s.Limit)
}

// dominates finds one kind of statement that has become much slower than usual, and takes most of the time.
func dominates(j *Judge, s *Sight) (finding, bool) {
	list, _ := j.recents()
	r := heaviest(list)
	if r == nil || r.share < dominant {
		return finding{}, false
	}
	slow := j.usual.slowness(r)
	rest := j.usual.slowdown(list, r.Fingerprint)
	state, text, pressed := j.pressedBy(s)
	if slow < slowTimes || slow < slowOther*rest || !pressed {
		return finding{}, false
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = state, "slow_statement", 0.85
	f.Culprit.Fingerprint = fingerprint(r.Fingerprint)
	f.Culprit.describe(r.Named)
	usual := j.usual.prints[r.Fingerprint].mean
	f.Sentence = fmt.Sprintf("One statement has become slow: %s takes %s where it took %s, and %s of the server's time%s.",
		f.Culprit.words(), seconds(r.mean()), seconds(usual), percent(r.share), text)
	f.Advice = fmt.Sprintf("Look at its plan (EXPLAIN): an index may be missing or not be used, statistics may be old (ANALYZE), or its data may have grown. It became slow at about %s.", clock(j.since("slow_statement")))
	f.Evidence = event.Of(event.Number{Name: "mean_seconds", Value: r.mean()}, event.Number{Name: "usual_seconds", Value: usual},
		event.Number{Name: "share", Value: r.share}, event.Number{Name: "calls_per_second", Value: r.calls / max(1, j.length())},
		event.Number{Name: "others_slowdown", Value: rest}, event.Number{Name: "running", Value: float64(s.Running)}, event.Number{Name: "limit", Value: float64(s.Limit)})
	return f, true
}

// changed finds one kind of statement that comes much more often than usual, and takes most of the time.
func changed(j *Judge, s *Sight) (finding, bool) {
	list, calls := j.recents()
	state, text, pressed := j.pressedBy(s)
	if !j.usual.known() || !pressed || calls == 0 {
		return finding{}, false
	}
	for i := range list {
		r := &list[i]
		if r.share < dominant || r.calls < floodRate*j.length() || !j.usual.more(r, calls, j.length()) {
			continue
		}
		f := finding{}
		f.State, f.Cause, f.Confidence = state, "statement_flood", 0.8
		f.Culprit.Fingerprint = fingerprint(r.Fingerprint)
		f.Culprit.describe(r.Named)
		rate, usual := r.calls/max(1, j.length()), 0.0
		was := "is new"
		if h := j.usual.prints[r.Fingerprint]; h != nil {
			usual, was = h.rate, fmt.Sprintf("comes much more often, where it was %s times a second", digits(h.rate))
		}
		f.Sentence = fmt.Sprintf("Since %s one statement %s: %s comes %s times a second, and takes %s of the server's time%s.",
			clock(j.since("statement_flood")), was, f.Culprit.words(), digits(rate), percent(r.share), text)
		f.Advice = "See what was deployed then and sends it: a loop that asks for each row (N+1), a cache that is not used any more, retries without a pause."
		f.Evidence = event.Of(event.Number{Name: "calls_per_second", Value: rate}, event.Number{Name: "usual_per_second", Value: usual},
			event.Number{Name: "share", Value: r.share}, event.Number{Name: "share_of_calls", Value: r.calls / calls},
			event.Number{Name: "running", Value: float64(s.Running)}, event.Number{Name: "limit", Value: float64(s.Limit)})
		return f, true
	}
	return finding{}, false
}

// more is true if a kind of statement comes much more often than usual: by itself, or compared with all others. One that never came before does.
func (u *usual) more(r *recent, calls, length float64) bool {
	h := u.prints[r.Fingerprint]
	switch {
	case h == nil:
		return true
	case u.slowness(r) >= slowTimes:
		return false // it lasts longer, so that more of it is seen
	}
	own := r.calls / (h.rate * max(1, length))
	more := own
	if others := u.rate - h.rate; others > h.rate/10 { // where all come more often, it is not this one
		more = min(more, more/max(1, (calls-r.calls)/(others*max(1, length))))
	}
	return more >= moreTimes || own >= ownTimes && odds(r.calls/calls) >= moreTimes*odds(h.rate/max(h.rate, u.rate))
}

// odds turns a share into how it stands to the rest.
func odds(share float64) float64 { return share / max(1e-3, 1-share) }
