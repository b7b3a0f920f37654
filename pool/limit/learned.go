package limit

import (
	"math"
	"time"
)

// Learned is what a law may tell its successor after a restart. It is only a start: half of the limit, and nothing that
// is older than a day.
type Learned struct {
	At    time.Time
	Limit float64 // a limit that was held for long
}

// Learner is a law whose knowledge survives a restart.
type Learner interface {
	// Learned returns what to keep for a restart; ok is false while nothing is worth keeping.
	Learned(now time.Time) (kept Learned, ok bool)
	// Resume starts from what a predecessor has kept, if that makes sense. It comes before the first Step.
	Resume(kept Learned, now time.Time)
}

// learnedFor is how long what was learned is of use: a server's size seldom changes within a day.
const learnedFor = 24 * time.Hour

// Learned returns what to keep for a restart; ok is false while nothing is worth keeping.
func (l *law) Learned(now time.Time) (kept Learned, ok bool) {
	return Learned{At: now, Limit: l.steady.good}, l.steady.good > 0
}

// Resume starts from half of what was learned, if that makes sense. It comes before the first Step. Growth finds the
// rest within seconds; from a limit that is too high it would be a way down through an overloaded server.
func (l *law) Resume(kept Learned, now time.Time) {
	age := now.Sub(kept.At)
	if age < 0 || age > learnedFor || !(kept.Limit >= 1) || math.IsInf(kept.Limit, 1) {
		return
	}
	l.limit = max(l.t.Floor, min(kept.Limit/2, mostLearned))
}

// mostLearned bounds what a damaged file can do.
const mostLearned = 1000
