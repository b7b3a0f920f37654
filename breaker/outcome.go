package breaker

import "time"

// Outcome is what the end of one statement says about the server.
type Outcome uint8

// The outcomes.
const (
	Answered Outcome = iota // the server did its work, or said itself what is wrong with the statement
	Broken                  // the server, its storage or the way to it is broken
	Neutral                 // says nothing: the user cancelled, or the server is full
	// Raised is an error of a statement with the code of a broken server, after which the server goes on: a statement can raise any by
	// itself, on purpose, by a foreign table, or by one file that is full. It is believed when no canary is answered.
	Raised
)

// Classify says what an error's SQLSTATE tells about the server; the empty string is a statement without an error. A
// socket that ends in the middle of a statement is Broken and has no code.
func Classify(sqlstate string) Outcome {
	if len(sqlstate) != 5 {
		return Answered
	}
	switch sqlstate {
	case "57014", // query_canceled: somebody's wish, also statement_timeout
		"53300": // too_many_connections: it lowers the cap
		return Neutral
	case "57P01", "57P02", "57P03", // admin_shutdown, crash_shutdown, cannot_connect_now
		"53100", "53200", // disk_full, out_of_memory
		"XX000", "XX001", "XX002": // internal_error, data_corrupted, index_corrupted
		return Broken
	}
	switch sqlstate[:2] {
	case "08", // connection exceptions
		"58": // system errors, outside PostgreSQL itself
		return Broken
	}
	return Answered
}

// The rule for errors. Less than half is a part of the work that fails by itself: one damaged table, one function. Fewer
// than twenty outcomes would let the two statements of a quiet minute decide; a shorter window does not see twenty on a
// small application, a longer one remembers a trouble that is over.
const (
	errorsLeast  = 20
	errorsShare  = 0.5
	windowLength = 10 * time.Second
	windowParts  = 20
)

// window counts outcomes of the last windowLength. The zero value is empty. Counting costs no allocation.
type window struct {
	parts [windowParts]tally
	start time.Time // of the current part; zero: nothing counted yet
	now   int       // the current part
}

// tally counts the outcomes that say something.
type tally struct{ answered, broken, raised int }

func (t tally) total() int { return t.answered + t.broken + t.raised }

// doubtful is the part of the outcomes that are broken, or may be; 0 if there are none.
func (t tally) doubtful() float64 {
	return tally{answered: t.answered, broken: t.broken + t.raised}.share()
}

// share is the part of the outcomes that are broken; 0 if there are none.
func (t tally) share() float64 {
	if t.total() == 0 {
		return 0
	}
	return float64(t.broken) / float64(t.total())
}

// numbers are the evidence.
func (t tally) numbers() []Number {
	return []Number{{"broken", float64(t.broken + t.raised)}, {"outcomes", float64(t.total())}, {"share", t.doubtful()}}
}

func (t *tally) add(o Outcome) {
	switch o {
	case Answered:
		t.answered++
	case Broken:
		t.broken++
	case Raised:
		t.raised++
	}
}

func (w *window) add(o Outcome, now time.Time) {
	w.advance(now)
	w.parts[w.now].add(o)
}

// advance forgets the parts that are older than the window. Time that goes back changes nothing.
func (w *window) advance(now time.Time) {
	const part = windowLength / windowParts
	if w.start.IsZero() {
		w.start = now
	}
	for n := 0; now.Sub(w.start) >= part; n++ {
		if n >= windowParts {
			w.start = now // everything has been forgotten
			return
		}
		w.start = w.start.Add(part)
		w.now = (w.now + 1) % windowParts
		w.parts[w.now] = tally{}
	}
}

func (w *window) sum(now time.Time) tally {
	w.advance(now)
	var s tally
	for _, p := range w.parts {
		s.answered += p.answered
		s.broken += p.broken
		s.raised += p.raised
	}
	return s
}
