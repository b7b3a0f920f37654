package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"

	"pgguard/pool/event"
	"pgguard/pool/sorting"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/witness"
)

// Source is what a Board shows beside the frames that it is given; *witness.Witness with a guard is one.
type Source struct {
	// Incidents are the last, the last one first.
	Incidents func() []diagnosis.Incident
	// Events are the decisions after a number.
	Events func(since uint64) ([]event.Event, uint64)
	// Paused is true while all clients wait for an operator; nil: never.
	Paused func() bool
	// Version and Mode are shown; the mode may change.
	Version string
	Mode    func() string
}

// How much the page shows of what there may be a lot of.
const (
	shownEvents    = 60
	shownQueries   = 12
	shownCrowds    = 20
	shownIncidents = 10
)

// Board keeps what the page shows. Any goroutine may call its methods.
type Board struct {
	from Source

	mu        sync.Mutex
	databases []*history     // guarded by mu, in the order in which they were seen first
	last      *witness.Frame // guarded by mu; nil: none yet
	queries   load           // guarded by mu
	next      chan struct{}  // guarded by mu: closed when there is another frame
	viewers   int            // guarded by mu
	built     []byte         // guarded by mu: the last frame as the page reads it; nil: nobody has asked
}

// New returns a Board that has seen nothing.
func New(from Source) *Board { return &Board{from: from, next: make(chan struct{}), queries: load{}} }

// Take takes in one frame, which does not change any more.
func (b *Board) Take(f *witness.Frame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.last
	for i := range f.Sights {
		s := &f.Sights[i]
		h := b.historyLocked(s.Database, f)
		if h == nil {
			continue
		}
		state := diagnosis.Calm
		for k := range f.Verdicts {
			if f.Verdicts[k].Database == s.Database {
				state = f.Verdicts[k].State
			}
		}
		h.add(point(f, was, s, state))
	}
	b.queries.take(f, was)
	b.last, b.built = f, nil
	close(b.next)
	b.next = make(chan struct{})
}

// historyLocked is that of a database in f, nil if there are too many. One that is there no more makes room.
func (b *Board) historyLocked(name string, f *witness.Frame) *history {
	if h := b.named(name); h != nil {
		return h
	}
	if len(b.databases) == maxDatabases {
		b.databases = slices.DeleteFunc(b.databases, func(h *history) bool {
			return !slices.ContainsFunc(f.Sights, func(s diagnosis.Sight) bool { return s.Database == h.name })
		})
	}
	if len(b.databases) == maxDatabases {
		return nil
	}
	h := newHistory(name)
	b.databases = append(b.databases, h)
	return h
}

// classesLocked are the names of those that are drawn.
func (b *Board) classesLocked() []string {
	names := []string{}
	if b.last == nil || len(b.last.Sights) == 0 {
		return names
	}
	for i, c := range b.last.Sights[0].Classes {
		if i == MaxClasses {
			names[MaxClasses-1] += " and others"
			break
		}
		names = append(names, c.Name)
	}
	return names
}

// History is what /api/v1/history shows: for each database rows of numbers, seconds and minutes, oldest first.
type History struct {
	Classes   []string          `json:"classes"`
	States    []diagnosis.State `json:"states"`
	Waits     []string          `json:"waits"`
	Databases []Rows            `json:"databases"`
}

// Rows is the history of one database. A row is: time, state (its place in states), running, limit, cap, cores, refused a second, then one number for
// each of waits, and for each class who waits, exchanges a second, and the 99th percentile of their seconds.
type Rows struct {
	Name    string      `json:"name"`
	Seconds [][]float64 `json:"seconds"`
	Minutes [][]float64 `json:"minutes"`
}

// waitNames are the words for Point.Waits.
var waitNames = []string{"working", "disk", "internal lock", "lock", "client", "other", "not ours"}

// History returns what is kept.
func (b *Board) History() History {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := History{Classes: b.classesLocked(), States: diagnosis.States, Waits: waitNames, Databases: []Rows{}}
	for _, h := range b.databases {
		r := Rows{Name: h.name, Seconds: [][]float64{}, Minutes: [][]float64{}}
		for _, p := range h.seconds.last(seconds) {
			r.Seconds = append(r.Seconds, p.row(len(out.Classes)))
		}
		for _, p := range h.minute.last(minutes) {
			r.Minutes = append(r.Minutes, p.row(len(out.Classes)))
		}
		out.Databases = append(out.Databases, r)
	}
	return out
}

// Now is what the page is sent each second.
type Now struct {
	Version   string              `json:"version"`
	Mode      string              `json:"mode"`
	Start     int64               `json:"start"`
	Draining  bool                `json:"draining"`
	Paused    bool                `json:"paused"`
	Verdicts  []diagnosis.Verdict `json:"verdicts"`
	Classes   []string            `json:"classes"`
	Databases []NowDatabase       `json:"databases"`
	Clients   map[string]int      `json:"clients"`
	Pinned    map[string]int      `json:"pinned"`
	Would     map[string]uint64   `json:"would"` // by reason, what mode enforce would have refused
	Queries   []Query             `json:"queries"`
	Journal   []Entry             `json:"journal"` // the last one first
	Incidents []Brief             `json:"incidents"`
}

// NowDatabase is one database now.
type NowDatabase struct {
	Name    string         `json:"name"`
	Row     []float64      `json:"row"`
	Servers map[string]int `json:"servers"`
	Crowds  []Crowd        `json:"crowds"`
	More    int            `json:"more"` // crowds that are not shown
}

// Crowd is the clients of one application_name.
type Crowd struct {
	Application   string  `json:"application"`
	Clients       int     `json:"clients"`
	Active        int     `json:"active"`
	Waiting       int     `json:"waiting"`
	Idling        int     `json:"idling"`
	Unread        int     `json:"unread"`
	OldestSeconds float64 `json:"oldest_seconds"`
}

// Entry is a decision, and what it changed.
type Entry struct {
	Seq    uint64     `json:"seq"`
	Time   int64      `json:"time"` // milliseconds
	Kind   event.Kind `json:"kind"`
	Text   string     `json:"text"`
	Effect string     `json:"effect"` // empty: it is not known, or not known yet
}

// Brief is an incident in one line.
type Brief struct {
	Number   int             `json:"number"`
	Begin    int64           `json:"begin"`
	End      int64           `json:"end"` // 0: it goes on
	State    diagnosis.State `json:"state"`
	Name     string          `json:"name"`
	Sentence string          `json:"sentence"`
	Refused  uint64          `json:"refused"`
}

// now returns the last frame as the page reads it, nil if there is none.
func (b *Board) now() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.built != nil || b.last == nil {
		return b.built, nil
	}
	text, err := json.Marshal(b.nowLocked())
	b.built = text
	return text, err
}

func (b *Board) nowLocked() Now {
	f := b.last
	n := Now{Version: b.from.Version, Mode: b.from.Mode(), Start: f.Stats.Start.Unix(), Draining: f.Stats.Draining, Verdicts: f.Verdicts, Classes: b.classesLocked(),
		Clients: f.Stats.Clients, Pinned: f.Stats.Pinned, Would: map[string]uint64{}, Queries: b.queries.top(f), Journal: b.journalLocked(), Incidents: b.briefs(),
		Databases: []NowDatabase{}}
	n.Paused = b.from.Paused != nil && b.from.Paused()
	for of, count := range f.Stats.WouldRefuse {
		if count > 0 {
			n.Would[of.Reason] += count
		}
	}
	for i := range f.Sights {
		s := &f.Sights[i]
		h := b.named(s.Database)
		if h == nil {
			continue
		}
		d := NowDatabase{Name: s.Database, Crowds: []Crowd{}, Servers: map[string]int{}}
		if last := h.seconds.last(1); len(last) == 1 {
			d.Row = last[0].row(len(n.Classes))
		}
		for k := range f.Stats.Pools {
			if f.Stats.Pools[k].Name == s.Database {
				d.Servers = f.Stats.Pools[k].Servers
			}
		}
		for k, c := range s.Crowds {
			if k == shownCrowds {
				d.More = len(s.Crowds) - k
				break
			}
			d.Crowds = append(d.Crowds, Crowd{Application: c.Application, Clients: c.Clients, Active: c.Active, Waiting: c.Waiting, Idling: c.Idling,
				Unread: c.Unread, OldestSeconds: c.Oldest.Seconds()})
		}
		n.Databases = append(n.Databases, d)
	}
	return n
}

// journalLocked is the last decisions, the last one first, each with what it changed.
func (b *Board) journalLocked() []Entry {
	events, _ := b.from.Events(0)
	if len(events) > shownEvents {
		events = events[len(events)-shownEvents:]
	}
	out := make([]Entry, 0, len(events))
	for _, e := range slices.Backward(events) {
		entry := Entry{Seq: e.Seq, Time: e.Time.UnixMilli(), Kind: e.Kind, Text: diagnosis.Decision(&e)}
		if e.Kind == event.Limit {
			entry.Effect = b.effectLocked(&e)
		}
		out = append(out, entry)
	}
	return out
}

// effectSpan is how many seconds before and after a decision are compared.
const effectSpan = 5

// effectLocked says what a decision changed in what gets done and how long that takes; "" if it is not known yet.
func (b *Board) effectLocked(e *event.Event) string {
	h := b.named(e.Subject)
	if h == nil {
		return ""
	}
	before, after := h.around(e.Time.Unix(), effectSpan)
	if before == nil {
		return ""
	}
	work := func(points []Point) (good, p99 float64) {
		for i := range points {
			for k := range points[i].Good {
				good += float64(points[i].Good[k]) / float64(len(points))
			}
			p99 += float64(slices.Max(points[i].P99[:])) / float64(len(points))
		}
		return good, p99
	}
	goodBefore, p99Before := work(before)
	goodAfter, p99After := work(after)
	if goodBefore < 1 || p99Before == 0 {
		return ""
	}
	return fmt.Sprintf("work %s, p99 %s", change(goodBefore, goodAfter), change(p99Before, p99After))
}

func (b *Board) named(name string) *history {
	for _, h := range b.databases {
		if h.name == name {
			return h
		}
	}
	return nil
}

// change is how much more something is, with its sign, or how many times as much.
func change(from, to float64) string {
	if to >= 3*from {
		return fmt.Sprintf("×%.0f", to/from)
	}
	p := math.Round(100 * (to/from - 1))
	if p == 0 {
		return "±0 %"
	}
	return fmt.Sprintf("%+.0f %%", p)
}

// briefs are the last incidents.
func (b *Board) briefs() []Brief {
	out := []Brief{}
	for _, in := range b.from.Incidents() {
		if len(out) == shownIncidents {
			break
		}
		k := Brief{Number: in.Number, Begin: in.Begin.Unix(), State: in.State, Name: in.State.String(), Sentence: in.Sentence}
		if !in.End.IsZero() {
			k.End = in.End.Unix()
		}
		k.Refused = in.RefusedInAll()
		out = append(out, k)
	}
	return out
}

// Query is one kind of statement, as of the last half minute.
type Query struct {
	Fingerprint string  `json:"fingerprint"`
	Called      string  `json:"called"`
	Query       string  `json:"query,omitempty"` // its text without literals, where texts may be shown
	Calls       float64 `json:"calls"`           // a second
	Mean        float64 `json:"mean"`            // seconds; 0: none has ended
	Share       float64 `json:"share"`           // of the time that all take
}

// load is what each kind of statement takes, by its fingerprint, fading.
type load map[uint64]*weight

// weight is what one takes: calls that end and their seconds, and those that it runs, ended or not, a second.
type weight struct{ calls, seconds, busy float64 }

// fade is how much of it is left after a second: with 0.97 it is the last half minute that counts.
const fade = 0.97

// take takes in what has run since the frame before.
func (l load) take(f, was *witness.Frame) {
	if was == nil {
		return
	}
	for print, w := range l {
		if w.calls, w.seconds, w.busy = w.calls*fade, w.seconds*fade, w.busy*fade; w.calls < 1e-4 && w.busy < 1e-4 {
			delete(l, print)
		}
	}
	seconds := max(0.1, f.At.Sub(was.At).Seconds())
	for i := range f.Sights {
		if i >= len(was.Sights) || was.Sights[i].Database != f.Sights[i].Database {
			continue
		}
		before := make(map[uint64]*diagnosis.Print, len(was.Sights[i].Prints))
		for k := range was.Sights[i].Prints {
			before[was.Sights[i].Prints[k].Fingerprint] = &was.Sights[i].Prints[k]
		}
		for _, p := range f.Sights[i].Prints {
			b := before[p.Fingerprint]
			if b == nil {
				b = &diagnosis.Print{}
			}
			busy := p.Seconds + p.Underway - b.Seconds - b.Underway
			if p.Calls < b.Calls || p.Calls == b.Calls && busy <= 0 {
				continue
			}
			w := l[p.Fingerprint]
			if w == nil {
				w = &weight{}
				l[p.Fingerprint] = w
			}
			w.calls += (1 - fade) * float64(p.Calls-b.Calls) / seconds
			w.seconds += (1 - fade) * (p.Seconds - b.Seconds) / seconds
			w.busy += (1 - fade) * max(0, busy) / seconds
		}
	}
}

// top are those that take most.
func (l load) top(f *witness.Frame) []Query {
	named := map[uint64]diagnosis.Named{}
	for i := range f.Sights {
		for _, p := range f.Sights[i].Prints {
			named[p.Fingerprint] = p.Named
		}
	}
	all := 0.0
	for _, w := range l {
		all += w.busy
	}
	out := []Query{}
	for print, w := range l {
		if w.busy <= 0 {
			continue
		}
		q := Query{Fingerprint: fmt.Sprintf("%016x", print), Called: named[print].Called, Query: named[print].Query, Calls: w.calls, Share: w.busy / all}
		if w.calls > 0 {
			q.Mean = w.seconds / w.calls
		}
		out = append(out, q)
	}
	sorting.By(out, func(a, b Query) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return out[:min(len(out), shownQueries)]
}
