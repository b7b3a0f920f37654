package proxy

import (
	"errors"
	"slices"

	"pgguard/pool/event"
	"pgguard/proxy/instance"
	"pgguard/proxy/translate"
)

// Stats returns a snapshot. It takes each session's lock for a moment, one after the other.
func (srv *Server) Stats() Stats {
	st := Stats{
		Start: srv.start, Draining: srv.draining.Load(),
		Clients: map[string]int{"login": 0, "idle": 0, "waiting": 0, "active": 0, "idle_in_transaction": 0},
		Pinned:  map[string]int{}, Pins: map[string]uint64{}, Cancels: map[string]uint64{},
		Refusals: map[ReasonClass]uint64{}, WouldRefuse: map[ReasonClass]uint64{}, Queries: map[string]uint64{},
		Panics:    srv.count.panics.Load(),
		QueryTime: map[string]Histogram{}, TransactionTime: map[string]Histogram{},
		IdleInTransactionTime: map[string]Histogram{}, QueueWait: map[string]Histogram{},
		LoginTime: srv.times.login.buckets(),
	}
	did := srv.totals()
	st.Bytes = map[string]uint64{"in": did.Received, "out": did.Sent}
	srv.clientStats(&st)
	for i, name := range translate.PinNames {
		st.Pins[name] = srv.count.pins[i].Load()
	}
	for result, n := range srv.count.cancels {
		st.Cancels[result] = n.Load()
	}
	for i, c := range srv.cfg().Pool.Classes {
		st.WouldRefuse[ReasonClass{string(ReasonReaped), c.Name}] = srv.count.wouldReap[i].Load()
		st.WouldRefuse[ReasonClass{string(ReasonBreaker), c.Name}] = srv.count.wouldBreak[i].Load()
		st.QueryTime[c.Name] = srv.times.query[i].buckets()
		st.Queries[c.Name] = st.QueryTime[c.Name].Count
		st.TransactionTime[c.Name] = srv.times.transaction[i].buckets()
		st.IdleInTransactionTime[c.Name] = srv.times.idle[i].buckets()
		for reason, by := range srv.count.refusals {
			st.Refusals[ReasonClass{string(reason), c.Name}] = by[i].Load()
		}
	}
	for _, in := range srv.allInstances() {
		ps := in.Stats()
		for _, c := range ps.Classes {
			st.QueueWait[c.Name] = add(st.QueueWait[c.Name], c.Wait)
		}
		for reason, by := range ps.Would {
			for class, n := range by {
				st.WouldRefuse[ReasonClass{reason, class}] += n
			}
		}
		st.Pools = append(st.Pools, ps)
	}
	return st
}

// clientStats counts the sessions by state.
func (srv *Server) clientStats(st *Stats) {
	srv.mu.Lock()
	st.Clients["login"] = len(srv.lobby.guests)
	srv.mu.Unlock()
	for _, s := range srv.all() {
		s.mu.Lock()
		var p translate.Pins
		quiet := false
		if s.link != nil {
			quiet, p = s.link.lease.Quiet() || s.link.b.waits.Load(), s.link.lease.Pins()
		}
		label := s.state.label(s.local, quiet)
		s.mu.Unlock()
		st.Clients[label]++
		p.Each(func(i int) { st.Pinned[translate.PinNames[i]]++ })
	}
}

func (srv *Server) allInstances() []*instance.Instance {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	out := make([]*instance.Instance, 0, len(srv.instances))
	for _, in := range srv.instances {
		out = append(out, in)
	}
	return out
}

// add returns the sum of two histograms with the same bounds; a may be empty.
func add(a, b Histogram) Histogram {
	if a.Bounds == nil {
		return b
	}
	sum := Histogram{Bounds: a.Bounds, Counts: make([]uint64, len(a.Counts)), Count: a.Count + b.Count, Sum: a.Sum + b.Sum}
	for i := range a.Counts {
		sum.Counts[i] = a.Counts[i] + b.Counts[i]
	}
	if len(a.Native) == len(b.Native) {
		sum.Native = make([]uint64, len(a.Native))
		for i := range a.Native {
			sum.Native[i] = a.Native[i] + b.Native[i]
		}
	}
	return sum
}

// ErrDraining is why a Server is not ready that has been told to end.
var ErrDraining = errors.New("draining")

// Ready returns nil if a client can be served now, else why not. It costs the database nothing.
func (srv *Server) Ready() error {
	if srv.draining.Load() || srv.ctx.Err() != nil {
		return ErrDraining
	}
	for _, in := range srv.allInstances() {
		if !srv.inUse(in) { // who is still there goes elsewhere next
			continue
		}
		if err := in.Ready(); err != nil {
			return err
		}
	}
	return nil
}

// proves is true if clients can be served, and a process that takes the place of this one can find that out before it has any.
func (srv *Server) proves() bool {
	return srv.Ready() == nil && !slices.ContainsFunc(srv.allInstances(), func(in *instance.Instance) bool { return srv.inUse(in) && in.Barred() })
}

// Events returns the decisions after the one with this sequence number, oldest first, and how many more there were that
// are forgotten. 0 gives all that are kept. Any goroutine may call it.
func (srv *Server) Events(seq uint64) (events []event.Event, missed uint64) {
	return srv.events.Since(seq, nil)
}
