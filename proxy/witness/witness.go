package witness

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
)

// LookEvery is how often the guard is looked at: a person reads no faster, and the side channel sees no more.
const LookEvery = time.Second

// Guard is what is looked at; *proxy.Server is one.
type Guard interface {
	Stats() proxy.Stats
	Sights() []proxy.Sight
	// Note keeps an event among the guard's own, and Events returns those after a number.
	Note(event.Event)
	Events(since uint64) (events []event.Event, missed uint64)
}

// Config is everything a Witness is told. Guard and Log are needed.
type Config struct {
	Guard Guard
	// Observe says whether the guard only reports, as of now; nil: it does not.
	Observe func() bool
	// Log receives one line for each change of the verdict, and for each incident.
	Log *slog.Logger
	// Advise tells those who wait for this PostgreSQL what is wrong; nil: nobody is told.
	Advise func(upstream, sentence string)
	// Journal is a file for decisions and incidents; without a path there is none.
	Journal Journal
}

// Witness keeps what is wrong with each PostgreSQL. Any goroutine may call its methods.
type Witness struct {
	cfg Config

	judges map[string]*diagnosis.Judge // of Run's goroutine, by database
	house  house                       // of Run's goroutine
	file   *scribe                     // Run starts and ends it; nil: there is none
	read   uint64                      // of Run's goroutine: the last event that is in the file

	mu       sync.Mutex
	verdicts []diagnosis.Verdict // guarded by mu: one of each database, the worst first
	record   diagnosis.Record    // guarded by mu
}

// New returns a Witness that has seen nothing yet. It does no IO.
func New(c Config) *Witness {
	if c.Observe == nil {
		c.Observe = func() bool { return false }
	}
	w := &Witness{cfg: c, judges: map[string]*diagnosis.Judge{}}
	if c.Journal.Path != "" {
		w.file = newScribe(&journal{Journal: c.Journal}, w.tellFile)
	}
	return w
}

// Frame is what one look showed, and what is said of it. It does not change any more.
type Frame struct {
	At       time.Time
	Stats    proxy.Stats
	Sights   []diagnosis.Sight
	Verdicts []diagnosis.Verdict // the worst first
}

// Run looks once a second, and has take take what was seen, until ctx ends. What has been decided by then is written, if the file takes it.
func (w *Witness) Run(ctx context.Context, take func(*Frame)) {
	t := time.NewTicker(LookEvery)
	defer t.Stop()
	if w.file != nil {
		w.file.start()
		defer func() {
			w.write(nil, time.Now())
			w.file.close()
		}()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			take(w.Look(time.Now()))
		}
	}
}

// Look looks once. One goroutine calls it.
func (w *Witness) Look(now time.Time) *Frame {
	st, sights := w.cfg.Guard.Stats(), w.cfg.Guard.Sights()
	f := &Frame{At: now, Stats: st, Verdicts: []diagnosis.Verdict{}}
	w.house.look(now, anyLocal(sights))
	var turned []*diagnosis.Incident
	for i := range sights {
		s := w.sight(&st, &sights[i], now)
		j := w.judges[s.Database]
		if j == nil {
			j = new(diagnosis.Judge)
			w.judges[s.Database] = j
		}
		v := j.Judge(s)
		f.Sights, f.Verdicts = append(f.Sights, s), append(f.Verdicts, v)
		w.mu.Lock()
		in := w.record.Note(&v, &s)
		w.mu.Unlock()
		if in != nil {
			turned = append(turned, in)
		}
	}
	maps.DeleteFunc(w.judges, func(name string, _ *diagnosis.Judge) bool { // of what no database is at any more
		return !slices.ContainsFunc(f.Sights, func(s diagnosis.Sight) bool { return s.Database == name })
	})
	verdicts := f.Verdicts
	diagnosis.Sort(verdicts)
	w.mu.Lock()
	turned = append(turned, w.record.Leave(f.Sights)...)
	before := w.verdicts
	w.verdicts = verdicts
	w.mu.Unlock()
	for i := range verdicts {
		if w.cfg.Advise != nil && !verdicts[i].State.Healthy() {
			w.cfg.Advise(verdicts[i].Database, verdicts[i].Sentence)
		}
		w.tell(of(before, verdicts[i].Database), &verdicts[i], now)
	}
	for _, in := range turned {
		w.tellIncident(in)
	}
	w.write(turned, now)
	return f
}

// tellIncident logs that an incident has begun or ended.
func (w *Witness) tellIncident(in *diagnosis.Incident) {
	about := []any{"number", in.Number, "upstream", in.Database, "state", string(in.State), "cause", in.Cause, "sentence", in.Sentence}
	if in.End.IsZero() {
		w.cfg.Log.Warn("incident began", about...)
		return
	}
	w.cfg.Log.Warn("incident ended", append(about, "seconds", in.End.Sub(in.Begin).Seconds(), "waiting", in.Peak.Waiting, "refused", in.RefusedInAll())...)
}

// write has the decisions since the last look be put into the file, and incidents that are over.
func (w *Witness) write(turned []*diagnosis.Incident, now time.Time) {
	if w.file == nil {
		return
	}
	events, _ := w.cfg.Guard.Events(w.read)
	var lines []Line
	for i := range events {
		w.read, events[i].Query = events[i].Seq, ""
		lines = append(lines, Line{Event: &events[i]})
	}
	for _, in := range turned {
		if !in.End.IsZero() {
			in.Culprit = in.Culprit.Untold()
			lines = append(lines, Line{Incident: in})
		}
	}
	list, err := texts(lines)
	w.tellFile(err)
	w.file.add(list, now)
}

// tellFile logs what is wrong with the file of incidents.
func (w *Witness) tellFile(err error) {
	if err != nil {
		w.cfg.Log.Error("the file of incidents cannot be written", "file", w.cfg.Journal.Path, "error", err)
	}
}

// Lost is how many lines the file of incidents has not taken, and never will.
func (w *Witness) Lost() uint64 {
	if w.file == nil {
		return 0
	}
	return w.file.lose(0)
}

// Begun is how many incidents have begun since the guard started.
func (w *Witness) Begun() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.record.Number()
}

// Incidents are those that are kept, the last one first.
func (w *Witness) Incidents() []diagnosis.Incident {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.record.Incidents()
}

// of is the verdict on a database, the zero value if there is none.
func of(verdicts []diagnosis.Verdict, database string) *diagnosis.Verdict {
	for i := range verdicts {
		if verdicts[i].Database == database {
			return &verdicts[i]
		}
	}
	return &diagnosis.Verdict{State: diagnosis.Calm}
}

// tell logs a change of the verdict, and keeps it as an event. That calm becomes busy, or the other way round, is no news.
func (w *Witness) tell(was, is *diagnosis.Verdict, now time.Time) {
	if was.State.Healthy() && is.State.Healthy() || !was.State.Healthy() && was.Same(is) {
		return
	}
	mode := event.Enforce
	if w.cfg.Observe() {
		mode = event.Observe
	}
	w.cfg.Guard.Note(event.Event{Time: now, Kind: event.Verdict, Subject: is.Database, Query: is.Culprit.Query, Cause: is.Cause, Evidence: is.Evidence,
		From: string(was.State), To: string(is.State), Mode: mode})
	level := slog.LevelWarn
	if is.State.Healthy() {
		level = slog.LevelInfo
	}
	w.cfg.Log.Log(context.Background(), level, "verdict", "upstream", is.Database, "state", string(is.State), "cause", is.Cause, "sentence", is.Sentence,
		"advice", is.Advice, "culprit", is.Culprit.Who(), "confidence", is.Confidence)
}

// Verdict is what is wrong with the database that fares worst. Before the first look it is calm, since nothing is known.
func (w *Witness) Verdict() diagnosis.Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.verdicts) == 0 {
		return diagnosis.Verdict{State: diagnosis.Calm, Cause: "calm", Sentence: "Nothing has been seen yet.", Confidence: 0.1}
	}
	return w.verdicts[0]
}

// Verdicts are those of all databases, the worst first.
func (w *Witness) Verdicts() []diagnosis.Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]diagnosis.Verdict{}, w.verdicts...)
}

// anyLocal is true if one of the databases is on this machine.
func anyLocal(sights []proxy.Sight) bool {
	for i := range sights {
		if sights[i].Local {
			return true
		}
	}
	return false
}
