package diagnosis

import "time"

// How much a Judge looks back on.
const (
	// window is how many looks it compares the last with: five seconds tell a rate from a burst, and leave as many for a sentence to stand
	// within ten seconds of a fault.
	window = 6
	// raise is how many of the last four looks must show the same before it is said, and the verdict stands until none of them does: what
	// is over sooner is no trouble, and a sentence that flickers is not read.
	raise = 3
	looks = 4
)

// Judge keeps what the last looks at one PostgreSQL showed, and what is usual for it. The zero value has seen nothing. It is not safe
// for concurrent use.
type Judge struct {
	sights []Sight // the last, oldest first
	usual  usual
	shown  map[cause]uint8 // in which of the last looks each was seen: a bit each, the lowest the last
	begun  map[cause]time.Time
	now    Verdict
}

// cause is what a finding is about; it is the Cause of its verdict.
type cause string

// finding is what one look shows to be wrong.
type finding struct {
	Verdict
	sure bool // it needs no second look
}

// Judge takes in one look, and says what is wrong. Looks come one a second, with At rising.
func (j *Judge) Judge(s Sight) Verdict {
	if len(j.sights) == window {
		copy(j.sights, j.sights[1:])
		j.sights = j.sights[:window-1]
	}
	j.sights = append(j.sights, s)
	found := j.findings()
	v := j.choose(found)
	v.Database = s.Database
	j.usual.learn(j, v.State.Healthy() && len(found) == 0)
	j.now = v
	return v
}

// findings are all that this look shows, the worst first.
func (j *Judge) findings() []finding {
	var found []finding
	for _, look := range []func(*Judge, *Sight) (finding, bool){
		down, process, guardShort, others, unread, waitsForLocks, idleTransactions, farAway, foreign, slower, changed, dominates, refuses, guards,
	} {
		if f, ok := look(j, j.last()); ok {
			found = append(found, f)
		}
	}
	return found
}

// choose returns the verdict: the worst that has been seen for long enough, or what is there where nothing is wrong.
func (j *Judge) choose(found []finding) Verdict {
	s := j.last()
	if j.shown == nil {
		j.shown, j.begun = map[cause]uint8{}, map[cause]time.Time{}
	}
	for c := range j.shown {
		if j.shown[c] = j.shown[c] << 1 & (1<<looks - 1); j.shown[c] == 0 && j.now.Cause != string(c) {
			delete(j.shown, c)
			delete(j.begun, c)
		}
	}
	best := -1
	for i, f := range found {
		c := cause(f.Cause)
		if _, known := j.begun[c]; !known {
			j.begun[c] = s.At
		}
		j.shown[c] |= 1
		if best < 0 && (f.sure || times(j.shown[c]) >= raise || j.now.Cause == f.Cause) {
			best = i
		}
	}
	stands := !j.now.State.Healthy() && j.now.State != "" && j.shown[cause(j.now.Cause)] != 0
	switch {
	case best >= 0 && (!stands || rank(found[best].State) <= rank(j.now.State)):
		v := found[best].Verdict
		v.Since = j.begun[cause(v.Cause)]
		return v
	case stands:
		return j.still(found)
	case best >= 0:
		v := found[best].Verdict
		v.Since = j.begun[cause(v.Cause)]
		return v
	}
	v := j.fine()
	if v.Since = s.At; j.now.State == v.State {
		v.Since = j.now.Since
	}
	return v
}

// still is the verdict that stands, as this look shows it; where it shows it not, as it was said last.
func (j *Judge) still(found []finding) Verdict {
	for i := range found {
		if found[i].Cause == j.now.Cause {
			v := found[i].Verdict
			v.Since = j.now.Since
			return v
		}
	}
	return j.now
}

// times is how many bits are set.
func times(bits uint8) (n int) {
	for ; bits != 0; bits &= bits - 1 {
		n++
	}
	return n
}

// rank is the place of a state: 0 is the worst.
func rank(s State) int {
	for i, known := range States {
		if s == known {
			return i
		}
	}
	return len(States)
}

// last is the sight that is judged.
func (j *Judge) last() *Sight { return &j.sights[len(j.sights)-1] }

// first is the oldest that is kept.
func (j *Judge) first() *Sight { return &j.sights[0] }

// length is the time between the two.
func (j *Judge) length() float64 { return j.last().At.Sub(j.first().At).Seconds() }

// mean is the average of something over the looks that are kept.
func (j *Judge) mean(of func(*Sight) float64) float64 {
	sum := 0.0
	for i := range j.sights {
		sum += of(&j.sights[i])
	}
	return sum / float64(len(j.sights))
}

// least is the smallest of something over the looks that are kept, zero meaning that it is not known.
func (j *Judge) least(of func(*Sight) time.Duration) (d time.Duration) {
	for i := range j.sights {
		if x := of(&j.sights[i]); x > 0 && (d == 0 || x < d) {
			d = x
		}
	}
	return d
}

// waiting is how many statements wait, in all classes, and for how long the first of them has.
func (s *Sight) waiting() (n int, oldest time.Duration) {
	for i := range s.Classes {
		n += s.Classes[i].Waiting
		oldest = max(oldest, s.Classes[i].Oldest)
	}
	return n, oldest
}

// refused is how many statements were refused under pressure within the looks that are kept, in all and in the class that has most.
func (j *Judge) refused() (n int, class string) {
	most := 0
	for i := range j.last().Classes {
		c := &j.last().Classes[i]
		before := uint64(0)
		for k := range j.first().Classes {
			if j.first().Classes[k].Name == c.Name {
				before = j.first().Classes[k].Refused
			}
		}
		d := int(c.Refused - min(before, c.Refused))
		if n += d; d > most {
			most, class = d, c.Name
		}
	}
	return n, class
}
