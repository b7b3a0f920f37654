package diagnosis

import (
	"math"
	"time"
)

// What is usual is learned while nothing is wrong, with a half-life of under a minute: a deployment that makes a statement slower is told for as long as it hurts.
const (
	usualLooks = 5        // healthy ones before anything is called unusual
	usualRate  = 1.0 / 60 // how fast what is known follows what is seen
	usualCalls = 20       // of a statement, before its time is known
	// Connections of others are learned whatever is wrong: that many have come is told for some minutes, and is then how things are, as long as what is left is enough.
	othersRate = 1.0 / 300
	othersMore = 1.25 // times as many as usual
)

// usual is what is usual for one PostgreSQL.
type usual struct {
	healthy int // looks in a row
	looks   int // that were learned from
	prints  map[uint64]*habit
	trip    float64 // seconds of a question that costs nothing
	rate    float64 // statements a second, of all that are told apart
	counted bool    // others has been seen
	others  float64 // connections of others
}

// habit is what is usual for one kind of statement.
type habit struct {
	mean  float64 // seconds
	rate  float64 // a second
	calls float64
}

// recent is what a kind of statement did within the looks that are kept.
type recent struct {
	*Print
	calls, seconds float64 // of those that have ended
	busy           float64 // seconds that they ran meanwhile, ended or not
	share          float64 // of the busy seconds of all
}

// mean is the time of one.
func (r *recent) mean() float64 { return r.seconds / max(1, r.calls) }

// recents are the kinds of statements that ran within the looks that are kept, in the order of the last look.
func (j *Judge) recents() (list []recent, calls float64) {
	return between(j.first(), j.last())
}

// between are the kinds of statements that ran between two sights.
func between(from, to *Sight) (list []recent, calls float64) {
	busy := 0.0
	before := make(map[uint64]*Print, len(from.Prints))
	for i := range from.Prints {
		before[from.Prints[i].Fingerprint] = &from.Prints[i]
	}
	for i := range to.Prints {
		p := &to.Prints[i]
		r := recent{Print: p, calls: float64(p.Calls), seconds: p.Seconds, busy: p.Seconds + p.Underway}
		if b := before[p.Fingerprint]; b != nil {
			r.calls, r.seconds, r.busy = r.calls-float64(b.Calls), r.seconds-b.Seconds, r.busy-b.Seconds-b.Underway
		}
		if r.calls <= 0 && r.busy <= 0 {
			continue
		}
		r.busy = max(0, r.busy)
		list = append(list, r)
		calls, busy = calls+r.calls, busy+r.busy
	}
	for i := range list {
		list[i].share = list[i].busy / max(1e-9, busy)
	}
	return list, calls
}

// known is true once enough was seen to call something unusual.
func (u *usual) known() bool { return u.looks >= usualLooks }

// learn takes in the oldest second that is kept, if nothing has been wrong since: what is going wrong now must not be learned before it is
// noticed.
func (u *usual) learn(j *Judge, healthy bool) {
	if s := j.last(); s.Sampled {
		if !u.counted {
			u.counted, u.others = true, float64(s.Others)
		}
		u.others += (float64(s.Others) - u.others) * othersRate
	}
	if trip := j.least(tripOf); trip > 0 && (u.trip == 0 || healthy) {
		u.trip = follow(u.trip, trip.Seconds(), usualRate)
	}
	if u.healthy++; !healthy {
		u.healthy = 0
	}
	if u.healthy < window {
		return
	}
	list, calls := between(&j.sights[0], &j.sights[1])
	length := j.sights[1].At.Sub(j.sights[0].At).Seconds()
	if calls == 0 || length <= 0 {
		return
	}
	if u.prints == nil {
		u.prints = map[uint64]*habit{}
	}
	u.looks++
	u.rate = follow(u.rate, calls/length, u.speed())
	ran := make(map[uint64]bool, len(list))
	for i := range list {
		r := &list[i]
		if r.calls == 0 { // it has not ended: how long it takes is not known yet
			continue
		}
		ran[r.Fingerprint] = true
		h := u.prints[r.Fingerprint]
		if h == nil {
			h = &habit{mean: r.mean(), rate: r.calls / length}
			u.prints[r.Fingerprint] = h
		}
		h.calls += r.calls
		h.mean, h.rate = follow(h.mean, r.mean(), u.speed()), follow(h.rate, r.calls/length, u.speed())
	}
	for fingerprint, h := range u.prints {
		if ran[fingerprint] {
			continue
		}
		if h.rate *= 1 - u.speed(); h.rate < 1e-4 {
			delete(u.prints, fingerprint)
		}
	}
}

// speed is how fast what is known follows what is seen: faster while little is known.
func (u *usual) speed() float64 { return max(usualRate, 1/float64(u.looks+1)) }

// follow moves a known value towards one that was seen.
func follow(known, seen, rate float64) float64 {
	if known == 0 {
		return seen
	}
	return known + (seen-known)*rate
}

// grown is true while others have many more connections than usual.
func (u *usual) grown(s *Sight) bool { return u.counted && float64(s.Others) >= othersMore*u.others }

// slowness is how many times as long as usual a kind of statement takes; 0 if that is not known.
func (u *usual) slowness(r *recent) float64 {
	h := u.prints[r.Fingerprint]
	if !u.known() || h == nil || h.calls < usualCalls || h.mean <= 0 || r.calls < 3 {
		return 0
	}
	return r.mean() / h.mean
}

// unknown is which part of the time goes to statements of which it is not known how long they take usually.
func (u *usual) unknown(list []recent) (share float64) {
	for i := range list {
		if u.slowness(&list[i]) == 0 {
			share += list[i].share
		}
	}
	return share
}

// slowdown is how many times as long as usual statements take: the geometric mean over their kinds, by the calls that are usual for
// each, but for one kind that is left out. 0 if that is not known.
func (u *usual) slowdown(list []recent, without uint64) float64 {
	sum, weight := 0.0, 0.0
	for i := range list {
		x := u.slowness(&list[i])
		if x == 0 || list[i].Fingerprint == without {
			continue
		}
		w := math.Sqrt(u.prints[list[i].Fingerprint].rate)
		sum, weight = sum+w*math.Log(x), weight+w
	}
	if weight == 0 {
		return 0
	}
	return math.Exp(sum / weight)
}

func tripOf(s *Sight) time.Duration { return s.RoundTrip }
