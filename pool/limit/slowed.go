package limit

import (
	"math"
	"time"
)

// harmMost is how much work a percent more concurrency is taken to cost at most: what is more is another world.
const harmMost = 2

// slow is what is remembered of work that became slow where nothing votes.
type slow struct {
	until time.Time     // no answer to the next before this
	pause time.Duration // from one to the next; several times longer each time, up to suppressMost
}

// gained is by how much more work was done in window b than in a, in ln, where hardly anything votes, and beyond what chance and the change of what
// ran account for; else 0. Where statements vote, they say it sooner and better.
func (l *law) gained(a, b *window) float64 {
	if a.work <= 0 || b.work <= 0 || a.run <= 0 || b.run <= 0 || b.votes.total >= enough {
		return 0
	}
	more := math.Log(b.running() / a.running())
	least, most := -harmMost*max(more, 0)+proportion*min(more, 0), proportion*max(more, 0)-harmMost*min(more, 0)
	d := math.Log(b.rate() / a.rate())
	d -= min(max(d, least), most)
	unrest, _ := l.world.over(windowMin)
	if !beyond(d, l.t.Surprise, a.noise()+b.noise()+unrest) {
		return 0
	}
	return d
}

// slowed says whether less work was done in window b than in a for no reason that the law knows, where that is to be answered: it is one time in
// many where the server goes to and fro, or each step up would be compared with another time.
func (l *law) slowed(now time.Time, a, b *window) bool {
	return l.gained(a, b) < 0 && l.sight.trusted() && !now.Before(l.slow.until)
}

// answer is for work that has become slow where nothing votes: steps up from a limit of before. A dip would say little, because work
// alone tells half as much of it as of a doubling, and would cost most where it is the way that has become long.
func (l *law) answer(now time.Time, from float64) Reason {
	s := &l.slow
	if now.Sub(s.until) > suppressMost {
		s.pause = 0
	}
	s.pause = min(max(slowing*s.pause, suppress), suppressMost)
	s.until = now.Add(s.pause)
	l.changed()
	l.steady.forget()
	before := l.Current()
	l.enter(growing)
	if l.limit != from {
		l.move(from)
	}
	if l.Current() == before {
		return ""
	}
	return ReasonTried
}
