package admin

import (
	"cmp"
	"time"

	"pgguard/pool/sorting"
	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
)

// State is what /api/v1/state shows. Its JSON names are part of the public surface.
type State struct {
	Version  string    `json:"version"`
	Start    time.Time `json:"start"`
	Mode     string    `json:"mode"`
	Draining bool      `json:"draining"`
	Ready    bool      `json:"ready"`
	// Verdicts are what is wrong with each database, the worst first.
	Verdicts []diagnosis.Verdict `json:"verdicts"`
	NotReady string              `json:"not_ready,omitempty"` // why
	Clients  map[string]int      `json:"clients"`             // by state
	Pinned   map[string]int      `json:"pinned_clients"`      // by reason
	Pools    []PoolState         `json:"pools"`

	Refusals    []Refused         `json:"refusals"`
	WouldRefuse []Refused         `json:"would_refuse"`
	Pins        map[string]uint64 `json:"pins"`    // by reason
	Cancels     map[string]uint64 `json:"cancels"` // by result
	Queries     map[string]uint64 `json:"queries"` // by class
	Bytes       map[string]uint64 `json:"bytes"`   // in, out
	Panics      uint64            `json:"panics"`
}

// PoolState is the pool of one PostgreSQL instance.
type PoolState struct {
	Name         string            `json:"name"` // host:port
	Up           bool              `json:"up"`
	LastError    string            `json:"last_error,omitempty"` // of the last login
	Breaker      string            `json:"breaker"`              // closed, open, half-open, ramp
	BreakerOpen  bool              `json:"breaker_open"`
	BreakerTrips uint64            `json:"breaker_trips"`
	MaxServers   int               `json:"max_servers"`
	Limit        int               `json:"limit"`
	Running      int               `json:"running"`
	InGap        int               `json:"in_gap"`    // transactions that keep a run token in a short gap between two statements
	Blocked      int               `json:"blocked"`   // of those, waiting for a lock
	Allowance    int               `json:"allowance"` // servers beyond the limit for transactions between two statements
	Servers      map[string]int    `json:"servers"`   // by state
	Logins       map[string]uint64 `json:"logins"`    // by result
	Classes      []ClassState      `json:"classes"`
}

// ClassState is one class of work in one pool.
type ClassState struct {
	Name          string  `json:"name"`
	Waiting       int     `json:"waiting"`
	OldestSeconds float64 `json:"oldest_seconds"` // how long the first in line has waited
	Slots         int     `json:"slots"`
	Overloaded    bool    `json:"overloaded"` // its line stands
}

// Refused counts refusals of one kind.
type Refused struct {
	Reason string `json:"reason"`
	Class  string `json:"class"`
	Count  uint64 `json:"count"`
}

// NewState returns st as the JSON shows it, without verdicts; notReady is what a proxy.Server's Ready returned.
func NewState(st proxy.Stats, version, mode string, notReady error) State {
	s := State{
		Version: version, Start: st.Start, Mode: mode, Draining: st.Draining, Ready: notReady == nil,
		Clients: filled(st.Clients), Pinned: filled(st.Pinned), Pools: []PoolState{}, Verdicts: []diagnosis.Verdict{},
		Refusals: refused(st.Refusals), WouldRefuse: refused(st.WouldRefuse),
		Pins: filled(st.Pins), Cancels: filled(st.Cancels), Queries: filled(st.Queries), Bytes: filled(st.Bytes),
		Panics: st.Panics,
	}
	if notReady != nil {
		s.NotReady = notReady.Error()
	}
	for _, p := range st.Pools {
		ps := PoolState{
			Name: p.Name, Up: p.Up, BreakerOpen: p.BreakerOpen, BreakerTrips: p.BreakerTrips,
			Breaker: p.Breaker, MaxServers: p.Cap, Limit: p.Limit, Running: p.Running, InGap: p.InGap, Blocked: p.Blocked, Allowance: p.Allowance,
			Servers: filled(p.Servers), Logins: filled(p.Logins), Classes: []ClassState{},
		}
		if err := cmp.Or(p.Down, p.Blind); err != nil {
			ps.LastError = err.Error()
		}
		for _, c := range p.Classes {
			ps.Classes = append(ps.Classes, ClassState{
				Name: c.Name, Waiting: c.Waiting, OldestSeconds: c.Oldest.Seconds(), Slots: c.Slots, Overloaded: c.Pace.Overloaded,
			})
		}
		s.Pools = append(s.Pools, ps)
	}
	return s
}

// filled returns m, or an empty map for nil: {} in JSON, never null.
func filled[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// refused returns the counts in the order of their reasons and classes.
func refused(counts map[proxy.ReasonClass]uint64) []Refused {
	list := []Refused{}
	for k, n := range counts {
		list = append(list, Refused{Reason: k.Reason, Class: k.Class, Count: n})
	}
	sorting.By(list, func(a, b Refused) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Class, b.Class))
	})
	return list
}
