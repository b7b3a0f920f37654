package diagnosis

import (
	"fmt"
	"time"

	"pgguard/pool/event"
)

// farLeast is how long each trip must take, and farTimes how many times as long as usual, to be called the network's doing. The
// least of the last looks is taken: a server that is busy answers one of them in time.
const (
	farLeast = 5 * time.Millisecond
	farTimes = 4
)

// farAway finds a network that has become slow: every trip takes long, and PostgreSQL is not at work while statements are under way.
func farAway(j *Judge, s *Sight) (finding, bool) {
	trip := j.least(tripOf)
	if len(j.sights) < looks || trip < farLeast || trip.Seconds() < farTimes*j.usual.trip {
		return finding{}, false
	}
	under := j.mean(func(s *Sight) float64 { return float64(s.Running) })
	at := j.mean(func(s *Sight) float64 { return float64(s.Waits.CPU + s.Waits.IO + s.Waits.LWLock + s.Waits.Lock) })
	if under >= 1 && at > under/2 {
		return finding{}, false // PostgreSQL works
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = Network, "round_trip", 0.9
	f.Sentence = fmt.Sprintf("The network to PostgreSQL is slow, not PostgreSQL: each trip takes %s where it took %s; of %s statements under way it works at %s.",
		span(trip), seconds(j.usual.trip), digits(under), digits(at))
	f.Advice = fmt.Sprintf("Look at the way to %s: another zone or region, a VPN, lost packets, a full link. More connections do not help; fewer statements in a transaction do.", shown(s.Database))
	f.Evidence = event.Of(event.Number{Name: "round_trip_seconds", Value: trip.Seconds()}, event.Number{Name: "usual_seconds", Value: j.usual.trip},
		event.Number{Name: "running", Value: under}, event.Number{Name: "at_work", Value: at})
	return f, true
}
