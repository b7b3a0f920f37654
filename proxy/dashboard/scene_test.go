package dashboard_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/dashboard"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/instance"
	"pgguard/proxy/witness"
)

// hostile is a name that breaks pages, terminals and lines, if it is not shown as text.
var hostile = "<img src=x onerror=\"window.broken=1\"></td><script>window.broken=1</script>\u202e" + strings.Repeat("W", 60_000)

// stage feeds a board with a made-up guard, second by second.
type stage struct {
	board           *dashboard.Board
	judge           diagnosis.Judge
	random          *rand.Rand
	paused, observe atomic.Bool // as an operator has it

	mu     sync.Mutex
	record diagnosis.Record // guarded by mu
	events []event.Event    // guarded by mu

	at     time.Time
	counts map[string]*counts // by class
	prints []diagnosis.Print
}

// counts is what a class has done so far.
type counts struct {
	histogram pool.Buckets
	refused   uint64
}

// newStage has shown nothing yet; its clock stands at at.
func newStage(at time.Time) *stage {
	st := &stage{random: rand.New(rand.NewPCG(1, 2)), at: at, counts: map[string]*counts{}}
	st.board = dashboard.New(dashboard.Source{Incidents: st.incidents, Events: st.since, Version: "v9.9.9", Mode: st.mode, Paused: st.paused.Load})
	for i, called := range []string{"select orders, controller=orders, action=index", "update stock, job=PushWorker", "select users, controller=sessions, action=create",
		"insert audit_log", "select order_items"} {
		st.prints = append(st.prints, diagnosis.Print{Fingerprint: uint64(i+1) * 0x123456789abcd, Named: diagnosis.Named{Called: called}})
	}
	return st
}

func (st *stage) mode() string {
	if st.observe.Load() {
		return "observe"
	}
	return "enforce"
}

func (st *stage) incidents() []diagnosis.Incident {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.record.Incidents()
}

func (st *stage) since(uint64) ([]event.Event, uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return append([]event.Event{}, st.events...), 0
}

// decide adds a decision.
func (st *stage) decide(e event.Event) {
	st.mu.Lock()
	defer st.mu.Unlock()
	e.Seq, e.Time, e.Mode = uint64(len(st.events)+1), st.at, event.Enforce
	st.events = append(st.events, e)
}

// load is what happens in a second.
type load struct {
	sight   diagnosis.Sight
	good    map[string]float64 // exchanges a second, by class
	took    map[string]float64 // seconds of each
	refused map[string]uint64
	pins    map[string]int
}

// play shows the same for n seconds.
func (st *stage) play(n int, l load) {
	for range n {
		st.at = st.at.Add(time.Second)
		st.board.Take(st.frame(l))
	}
}

// jitter is x, less or more by a tenth.
func (st *stage) jitter(x float64) float64 { return x * (0.9 + 0.2*st.random.Float64()) }

func (st *stage) frame(l load) *witness.Frame {
	s := l.sight
	s.At, s.Database, s.Sampled, s.Most = st.at, "db.internal:5432", s.Breaker == "", 100
	if s.Breaker == "" {
		s.Breaker, s.Up, s.Reached = "closed", true, true
	}
	s.Waits.CPU, s.Waits.IO = int(math.Round(st.jitter(float64(s.Waits.CPU)))), int(math.Round(st.jitter(float64(s.Waits.IO))))
	s.Prints = nil
	f := &witness.Frame{At: st.at, Stats: proxy.Stats{Start: st.at.Add(-3 * time.Hour), Clients: map[string]int{}, Pinned: l.pins, QueryTime: map[string]proxy.Histogram{},
		Refusals: map[proxy.ReasonClass]uint64{}}}
	s.Classes = append([]diagnosis.Class{}, s.Classes...)
	for i := range s.Classes {
		st.count(&s.Classes[i], l, f)
	}
	for i := range st.prints {
		calls := st.jitter(200 / float64(i+1))
		st.prints[i].Calls += uint64(calls)
		st.prints[i].Seconds += calls * 0.003 * float64(len(st.prints)-i)
	}
	s.Prints = append(s.Prints, st.prints...)
	f.Stats.Clients["idle"] = 380
	for _, c := range s.Crowds {
		f.Stats.Clients["active"] += c.Active
		f.Stats.Clients["waiting"] += c.Waiting
		f.Stats.Clients["idle_in_transaction"] += c.Idling
	}
	f.Stats.Pools = []instance.Stats{{Name: s.Database, Stats: pool.Stats{Servers: map[string]int{"active": s.Lent, "idle": s.Idle}}}}
	v := st.judge.Judge(s)
	f.Sights, f.Verdicts = []diagnosis.Sight{s}, []diagnosis.Verdict{v}
	st.mu.Lock()
	st.record.Note(&v, &s)
	st.mu.Unlock()
	return f
}

// count adds what a class does in a second.
func (st *stage) count(c *diagnosis.Class, l load, f *witness.Frame) {
	k := st.counts[c.Name]
	if k == nil {
		bounds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
		k = &counts{histogram: pool.Buckets{Bounds: bounds, Counts: make([]uint64, len(bounds))}}
		st.counts[c.Name] = k
	}
	h := pool.Buckets{Bounds: k.histogram.Bounds, Counts: append([]uint64{}, k.histogram.Counts...), Count: k.histogram.Count, Sum: k.histogram.Sum}
	for range int(st.jitter(l.good[c.Name])) {
		took := l.took[c.Name] * math.Exp(st.random.NormFloat64()*.7)
		h.Count++
		h.Sum += took
		for i, bound := range h.Bounds {
			if took <= bound {
				h.Counts[i]++
			}
		}
	}
	k.histogram = h
	k.refused += l.refused[c.Name]
	c.Refused, c.By = k.refused, map[string]uint64{"wait": k.refused}
	f.Stats.QueryTime[c.Name] = h
	f.Stats.Refusals[proxy.ReasonClass{Reason: "wait", Class: c.Name}] = k.refused
	c.Granted, c.WaitSeconds = h.Count, h.Sum/2
}

// The loads that are shown.

func crowds(waiting, idling int) []diagnosis.Crowd {
	return []diagnosis.Crowd{
		{Application: "puma: cluster worker 1: 4711 [shop]", Clients: 240, Active: 4, Waiting: waiting / 3},
		{Application: "sidekiq 7.2.4 shop", Clients: 150, Active: 3, Waiting: waiting * 2 / 3, Idling: idling, Oldest: 12 * time.Second, PID: 4711, Client: "10.0.3.17", Named: diagnosis.Named{Called: "update stock, job=PushWorker"}, Class: "low"},
		{Application: "", Clients: 6},
		{Application: proxyShown(hostile), Clients: 1},
	}
}

// proxyShown is what the proxy makes of a name before anybody sees it.
func proxyShown(name string) string { return fmt.Sprintf("%.63s", name) }

func calm() load {
	return load{sight: diagnosis.Sight{Cap: 80, Limit: 12, Running: 4, Lent: 6, Idle: 8, Waits: diagnosis.Waits{CPU: 3, IO: 1}, RoundTrip: 300 * time.Microsecond,
		Classes: []diagnosis.Class{{Name: "high"}, {Name: "low"}}, Crowds: crowds(0, 1), Machine: diagnosis.Machine{}},
		good: map[string]float64{"high": 420, "low": 90}, took: map[string]float64{"high": .004, "low": .012}, pins: map[string]int{"temporary_table": 1}}
}

func overload() load {
	l := calm()
	l.sight.Running, l.sight.Lent, l.sight.Waits = 12, 13, diagnosis.Waits{CPU: 9, IO: 2, LWLock: 1}
	l.sight.Classes = []diagnosis.Class{{Name: "high", Waiting: 3, Oldest: 12 * time.Millisecond}, {Name: "low", Waiting: 64, Oldest: 8 * time.Second, Overloaded: true}}
	l.sight.Crowds = crowds(67, 2)
	l.good, l.took = map[string]float64{"high": 700, "low": 40}, map[string]float64{"high": .007, "low": 6}
	l.refused = map[string]uint64{"low": 6}
	return l
}
