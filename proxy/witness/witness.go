package witness

import (
	"context"
	"log/slog"
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
	// Note keeps an event among the guard's own.
	Note(event.Event)
}

// Config is everything a Witness is told. Guard and Log are needed.
type Config struct {
	Guard Guard
	// Observe says that the guard only reports.
	Observe bool
	// Log receives one line for each change of the verdict.
	Log *slog.Logger
}

// Witness keeps what is wrong with each PostgreSQL. Any goroutine may call its methods.
type Witness struct {
	cfg Config

	judges map[string]*diagnosis.Judge // of Run's goroutine, by database
	house  house                       // of Run's goroutine

	mu       sync.Mutex
	verdicts []diagnosis.Verdict // guarded by mu: one of each database, the worst first
}

// New returns a Witness that has seen nothing yet. It does no IO.
func New(c Config) *Witness { return &Witness{cfg: c, judges: map[string]*diagnosis.Judge{}} }

// Run looks once a second, until ctx ends.
func (w *Witness) Run(ctx context.Context) {
	t := time.NewTicker(LookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.Look(time.Now())
		}
	}
}

// Look looks once. One goroutine calls it.
func (w *Witness) Look(now time.Time) {
	st, sights := w.cfg.Guard.Stats(), w.cfg.Guard.Sights()
	w.house.look(now, anyLocal(sights))
	var verdicts []diagnosis.Verdict
	for i := range sights {
		s := w.sight(&st, &sights[i], now)
		j := w.judges[s.Database]
		if j == nil {
			j = new(diagnosis.Judge)
			w.judges[s.Database] = j
		}
		verdicts = append(verdicts, j.Judge(s))
	}
	diagnosis.Sort(verdicts)
	w.mu.Lock()
	before := w.verdicts
	w.verdicts = verdicts
	w.mu.Unlock()
	for i := range verdicts {
		w.tell(of(before, verdicts[i].Database), &verdicts[i], now)
	}
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
	if w.cfg.Observe {
		mode = event.Observe
	}
	w.cfg.Guard.Note(event.Event{Time: now, Kind: event.Verdict, Subject: is.Database, Cause: is.Cause, Evidence: is.Evidence,
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
