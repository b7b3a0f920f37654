package witness

import (
	"errors"
	"runtime"
	"strings"
	"time"

	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/instance"
	"pgguard/proxy/upstream"
)

// stale is how old what the side channel saw may be to count as seen.
const stale = 3 * instance.SampleEvery

// pressure are the reasons of refusals that mean that more came than could be done.
var pressure = []proxy.Reason{proxy.ReasonWait, proxy.ReasonQueueFull, proxy.ReasonOverload, proxy.ReasonTooLate}

// sight is what one look showed of one database, in the words of package diagnosis.
func (w *Witness) sight(st *proxy.Stats, seen *proxy.Sight, now time.Time) diagnosis.Sight {
	s := diagnosis.Sight{At: now, Database: seen.Name, Observe: w.cfg.Observe(), Age: now.Sub(st.Start), Guard: w.house.guard}
	for i := range st.Pools {
		if p := &st.Pools[i]; p.Name == seen.Name {
			pool(&s, p, st)
		}
	}
	for _, c := range seen.Crowds {
		s.Crowds = append(s.Crowds, diagnosis.Crowd{
			Application: c.Application, Clients: c.Clients, Active: c.Active, Waiting: c.Waiting, Idling: c.Idling, Unread: c.Unread,
			Oldest: c.Oldest, Client: c.Client, PID: c.PID, Class: c.Class,
		})
		last := &s.Crowds[len(s.Crowds)-1]
		for i := range seen.Prints {
			if p := &seen.Prints[i]; p.Index == c.Print {
				last.Print, last.Named = p.Fingerprint, diagnosis.Named(p.Named)
			}
		}
	}
	for _, p := range seen.Prints {
		s.Prints = append(s.Prints, diagnosis.Print{Fingerprint: p.Fingerprint, Named: diagnosis.Named(p.Named), Calls: p.Calls, Seconds: p.Took.Seconds(), Underway: p.Underway.Seconds()})
	}
	if seen.Seen != nil && now.Sub(seen.Seen.At) < stale {
		sampled(&s, seen)
	}
	if seen.Local {
		s.Machine = w.house.machine
	}
	return s
}

// wrongLogin is true for a login that PostgreSQL refuses for its user, password or database, until somebody corrects that.
func wrongLogin(err error) bool {
	var said *upstream.Error
	return errors.As(err, &said) && (strings.HasPrefix(said.Code, "28") || said.Code == "3D000")
}

// pool takes in what a pool counts.
func pool(s *diagnosis.Sight, p *instance.Stats, st *proxy.Stats) {
	s.Reached, s.Up, s.Breaker, s.Most = p.Reached, p.Up, p.Breaker, p.Most
	why := p.Down
	if why == nil && !p.Up {
		why = p.Said
	}
	if why != nil && !(p.Reached && instance.Answered(why)) { // a server that refuses one user can be reached
		s.Error, s.Refused = why.Error(), wrongLogin(why)
	}
	if p.Blind != nil && instance.Answered(p.Blind) {
		s.Blind = p.Blind.Error()
	}
	s.Cap, s.Limit, s.Allowance = p.Cap, p.Limit, p.Allowance
	s.Lent, s.Idle, s.Running, s.InGap = p.Servers["active"], p.Servers["idle"], p.Running, p.InGap
	s.Guard.Lag = max(s.Guard.Lag, p.Lag)
	s.Guard.Cores = float64(runtime.GOMAXPROCS(0))
	for _, c := range p.Classes {
		k := diagnosis.Class{Name: c.Name, Waiting: c.Waiting, Oldest: c.Oldest, Overloaded: c.Pace.Overloaded, Finished: st.Queries[c.Name],
			Granted: c.Wait.Count, WaitSeconds: c.Wait.Sum}
		for _, reason := range pressure {
			k.Refused += st.Refusals[proxy.ReasonClass{Reason: string(reason), Class: c.Name}]
			k.WouldWait += st.WouldRefuse[proxy.ReasonClass{Reason: string(reason), Class: c.Name}]
		}
		for of, n := range st.Refusals {
			if of.Class == c.Name && n > 0 {
				if k.By == nil {
					k.By = map[string]uint64{}
				}
				k.By[of.Reason] = n
			}
		}
		s.Classes = append(s.Classes, k)
	}
}

// sampled takes in what the side channel saw.
func sampled(s *diagnosis.Sight, seen *proxy.Sight) {
	x := seen.Seen
	s.Sampled, s.Waits, s.Foreign, s.Peers = true, diagnosis.Waits(x.Waits), x.Foreign, x.Peers
	s.Stranger, s.Others, s.OtherParty, s.RoundTrip = diagnosis.Party(x.Stranger), x.Others, diagnosis.Party(x.Party), x.RoundTrip
	s.Holder = holder(x.Holder, seen.Holder)
	if s.Holder != nil {
		s.Holder.Through = holder(x.Holder.Through, seen.Between)
	}
	for _, c := range x.Convoys {
		k := diagnosis.Convoy{Named: diagnosis.Named{Called: c.Called}, Bound: c.Bound, Running: c.Running, Locked: c.Blocked}
		for i := range seen.Prints {
			if p := &seen.Prints[i]; p.Index == c.Print {
				if k.Fingerprint, k.Query = p.Fingerprint, p.Query; k.Called == "" {
					k.Called = p.Called
				}
			}
		}
		s.Convoys = append(s.Convoys, k)
	}
}

// holder is who holds what others wait for, and which client of ours that is, if any.
func holder(h *instance.Holder, who proxy.Person) *diagnosis.Holder {
	if h == nil {
		return nil
	}
	out := &diagnosis.Holder{PID: h.PID, Application: h.Application, Client: h.Client, Idle: h.Idle, Held: h.Held, Named: diagnosis.Named(h.Named), Blocks: h.Blocks}
	if who != (proxy.Person{}) {
		out.Application, out.Client, out.Class = who.Application, who.Client, who.Class
	}
	return out
}
