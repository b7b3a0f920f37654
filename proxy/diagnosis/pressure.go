package diagnosis

import (
	"fmt"
	"time"

	"pgguard/pool/event"
)

// guardsFrom is how long the first in a line must have waited before it is said: what is shorter nobody notices.
const guardsFrom = time.Second

// refuses finds that statements are refused under pressure.
func refuses(j *Judge, s *Sight) (finding, bool) {
	n, class := j.refused()
	if n == 0 {
		return finding{}, false
	}
	waiting, oldest := s.waiting()
	f := finding{}
	f.State, f.Cause, f.Confidence = Shedding, "refusals", 0.8
	f.Culprit.Class = class
	f.Sentence = fmt.Sprintf("More comes than PostgreSQL can do: %s %s refused within %s, most of class %s, while %d of %d that may run do; %s for up to %s.",
		count(n, "statement"), verb(n, "was", "were"), seconds(j.length()), class, s.tokens(), s.Limit, waits(waiting), span(oldest))
	f.Advice = "What was refused was not sent, and may be tried again, later and with jitter. Send less of that class, or make its statements cheaper."
	f.pressed(j, s, waiting, oldest)
	f.Evidence = f.Evidence.With("refused", float64(n))
	return f, true
}

// causeYields is that one class waits so that another need not.
const causeYields = "yields"

// guards finds that statements wait for the guard for long.
func guards(j *Judge, s *Sight) (finding, bool) {
	waiting, oldest := s.waiting()
	if waiting == 0 || oldest < guardsFrom {
		return finding{}, false
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = Guarding, "waits", 0.8
	last, first := extremes(j)
	f.Culprit.Class = last.name
	switch {
	case first.calls > 0 && last.name != first.name && first.mean < last.oldest.Seconds()/4:
		f.Cause = causeYields
		f.Sentence = fmt.Sprintf("%s waits %s so that %s waits %s: %d of %d that may run do, and %s.", last.name, span(last.oldest), first.name,
			seconds(first.mean), s.tokens(), s.Limit, waits(waiting))
	default:
		f.Sentence = fmt.Sprintf("%s for up to %s: %d of %d that may run do, because more at once would finish nothing sooner.",
			capital(waits(waiting)), span(oldest), s.tokens(), s.Limit)
	}
	f.Advice = "Nothing needs to be done while the class that waits can wait. Otherwise make its statements cheaper, or send fewer at once: more connections or workers only make the line longer."
	f.pressed(j, s, waiting, oldest)
	return f, true
}

// pressed fills in what all verdicts about pressure have.
func (f *finding) pressed(j *Judge, s *Sight, waiting int, oldest time.Duration) {
	f.Evidence = event.Of(event.Number{Name: "waiting", Value: float64(waiting)}, event.Number{Name: "oldest_seconds", Value: oldest.Seconds()},
		event.Number{Name: "running", Value: float64(s.Running)}, event.Number{Name: "limit", Value: float64(s.Limit)})
	list, _ := j.recents()
	if r := heaviest(list); r != nil && r.share >= foreignShare {
		f.Culprit.Fingerprint = fingerprint(r.Fingerprint)
		f.Culprit.describe(r.Named)
		f.Evidence = f.Evidence.With("statement_share", r.share)
		f.Sentence += fmt.Sprintf(" Most of the server's time, %s, goes to %s.", percent(r.share), f.Culprit.words())
	}
}

// waits is how many statements wait.
func waits(n int) string { return count(n, "statement") + " " + verb(n, "waits", "wait") }

// capital is a sentence's start.
func capital(text string) string {
	if text == "" || text[0] < 'a' || text[0] > 'z' {
		return text
	}
	return string(text[0]-'a'+'A') + text[1:]
}

// turn is how a class waits.
type turn struct {
	name   string
	oldest time.Duration
	mean   float64 // seconds, of those granted within the looks that are kept
	calls  uint64
}

// extremes are the class whose first in line has waited longest, and the one of those served within the looks that are kept that waited least.
func extremes(j *Judge) (last, first turn) {
	for i := range j.last().Classes {
		c := &j.last().Classes[i]
		t := turn{name: c.Name, oldest: c.Oldest, calls: c.Granted}
		for k := range j.first().Classes {
			if b := &j.first().Classes[k]; b.Name == c.Name && c.Granted > b.Granted {
				t.calls = c.Granted - b.Granted
				t.mean = (c.WaitSeconds - b.WaitSeconds) / float64(t.calls)
			} else if b.Name == c.Name {
				t.calls = 0
			}
		}
		if last.name == "" || t.oldest > last.oldest {
			last = t
		}
		if t.calls > 0 && (first.calls == 0 || t.mean < first.mean) {
			first = t
		}
	}
	return last, first
}

// busyPart is which part of the limit must be in use to be called busy.
const busyPart = 0.9

// tokens is how many of those that may run do.
func (s *Sight) tokens() int { return s.Running + s.InGap }

// fine is the verdict where nothing is wrong.
func (j *Judge) fine() Verdict {
	s := j.last()
	waiting, oldest := s.waiting()
	v := Verdict{State: Calm, Cause: "calm", Confidence: 0.9}
	running := j.mean(func(s *Sight) float64 { return float64(s.tokens()) })
	v.Sentence = fmt.Sprintf("Nothing is wrong: %d of %d that may run do, and nobody waits.", s.tokens(), s.Limit)
	if waiting > 0 || (s.Limit > 0 && running >= busyPart*float64(s.Limit)) {
		v.State, v.Cause = Busy, "busy"
		v.Sentence = fmt.Sprintf("PostgreSQL is well used: %d of %d that may run do", s.tokens(), s.Limit)
		if waiting > 0 {
			v.Sentence += fmt.Sprintf(", and %s for up to %s", waits(waiting), span(oldest))
		}
		v.Sentence += "."
	}
	if s.Observe {
		v.Sentence += j.would()
	}
	if s.Blind != "" && !s.Sampled {
		v.Sentence += fmt.Sprintf(" pgguard cannot look into PostgreSQL, which does not let it in: %s.", shownAs(s.Blind, maxError))
		v.Advice = "Clients are served, but nothing is known of locks, of others' load, and of how many connections there may be. Correct the user, password or database of the upstream; pgguard check --connect says what is wrong."
	}
	v.Evidence = event.Of(event.Number{Name: "running", Value: running}, event.Number{Name: "limit", Value: float64(s.Limit)},
		event.Number{Name: "waiting", Value: float64(waiting)})
	return v
}

// would says what mode enforce would have done since the guard started.
func (j *Judge) would() string {
	all, text := uint64(0), ""
	for i := range j.last().Classes {
		c := &j.last().Classes[i]
		all += c.WouldWait
		text += fmt.Sprintf(", %d of %s", c.WouldWait, c.Name)
	}
	if all == 0 {
		return fmt.Sprintf(" Safe to enforce: in %s nothing would have been refused.", span(j.last().Age))
	}
	return fmt.Sprintf(" In %s mode enforce would have refused %d statements%s.", span(j.last().Age), all, text)
}
