package diagnosis

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestStories plays what a guard and its database show, second by second, and holds what is said. In testdata/*.story each block is
//
//	look n=5
//	pool cap=97 limit=10 running=10 lent=12
//	class web waiting=3 oldest=2s
//	----
//	what is said after the last of them, with all evidence
//
// A line begins with what it is about; what was said of it before is replaced. `now` begins a new sight of an idle, healthy guard; other
// looks keep what the block before had.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		st := &story{t: t, at: time.Date(2026, 11, 29, 14, 0, 0, 0, time.UTC)}
		st.fresh()
		datadriven.RunTest(t, path, st.play)
	})
}

// story is one file of looks.
type story struct {
	t     *testing.T
	judge Judge
	at    time.Time
	sight Sight
	rates []rate
}

// rate is how many calls of a statement come in a second, and how long each takes; and how many run for long, and end in none of the looks.
type rate struct {
	print   Print
	calls   float64
	took    time.Duration
	running float64
}

func (st *story) fresh() {
	st.sight = Sight{Database: "db:5432", Reached: true, Up: true, Breaker: "closed", Cap: 97, Limit: 10, Sampled: true, Most: 100,
		RoundTrip: 300 * time.Microsecond, Guard: Guard{Cores: 2, Used: 0.1}}
	st.rates = nil
}

func (st *story) play(t *testing.T, d *datadriven.TestData) string {
	n := 1
	if d.HasArg("n") {
		d.ScanArgs(t, "n", &n)
	}
	if d.Cmd == "now" {
		st.fresh()
	}
	replaced := map[string]bool{}
	for _, line := range strings.Split(d.Input, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			st.line(line, replaced)
		}
	}
	var v Verdict
	for range n {
		st.at = st.at.Add(time.Second)
		for i := range st.rates {
			r := &st.rates[i]
			r.print.Calls += uint64(r.calls)
			r.print.Seconds += r.calls * r.took.Seconds()
			r.print.Underway += r.running
		}
		v = st.judge.Judge(st.now())
	}
	if v.State.Healthy() && !d.HasArg("all") {
		return strings.TrimSuffix(v.Sentence+"\n"+v.Advice, "\n") + "\n"
	}
	return written(v)
}

// now is a sight that nothing will change any more.
func (st *story) now() Sight {
	s := st.sight
	s.At = st.at
	s.Age = st.at.Sub(time.Date(2026, 11, 29, 14, 0, 0, 0, time.UTC))
	s.Classes = append([]Class(nil), s.Classes...)
	for i := range st.rates {
		s.Prints = append(s.Prints[:i:i], st.rates[i].print)
	}
	return s
}

// written is a verdict as a story has it.
func written(v Verdict) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s (%s, %s since %s)\n%s\n%s\n", v.State.String(), v.Cause, percent(v.Confidence), clock(v.Since), v.Sentence, v.Advice)
	c := v.Culprit
	for _, part := range []struct{ name, value string }{
		{"class", c.Class}, {"application", c.Application}, {"client", c.Client}, {"process", c.Process}, {"statement", c.Statement}, {"fingerprint", c.Fingerprint},
	} {
		if part.value != "" {
			fmt.Fprintf(&out, "culprit %s: %s\n", part.name, part.value)
		}
	}
	if c.PID != 0 {
		fmt.Fprintf(&out, "culprit pid: %d\n", c.PID)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		fmt.Fprintf(&out, "culprit tag: %s=%s\n", key, c.Tags[key])
	}
	for i := range v.Evidence.Len() {
		fmt.Fprintf(&out, "%s=%s ", v.Evidence.At(i).Name, digits(v.Evidence.At(i).Value))
	}
	return strings.TrimSpace(out.String()) + "\n"
}

// line takes in one line of a block.
func (st *story) line(line string, replaced map[string]bool) {
	f := fieldsOf(st.t, line)
	if !replaced[f.about] {
		replaced[f.about] = true
		st.clear(f.about)
	}
	s := &st.sight
	switch f.about {
	case "pool":
		s.Cap, s.Limit, s.Running = f.number("cap", s.Cap), f.number("limit", s.Limit), f.number("running", s.Running)
		s.Lent, s.Idle, s.Observe = f.number("lent", s.Lent), f.number("idle", s.Idle), f.number("observe", 0) == 1
	case "database":
		s.Sampled = f.text("blind", "") == ""
		s.Breaker, s.Error, s.Blind = f.text("breaker", "closed"), f.text("error", ""), f.text("blind", "")
		s.Up, s.Reached, s.Refused = f.number("up", 1) == 1, f.number("reached", 1) == 1, f.number("refused", 0) == 1
	case "class":
		s.Classes = append(s.Classes, Class{Name: f.name, Waiting: f.number("waiting", 0), Oldest: f.span("oldest"), Refused: uint64(f.number("refused", 0)),
			WouldWait: uint64(f.number("would", 0)), Granted: uint64(f.number("granted", 0)), WaitSeconds: f.span("waited").Seconds()})
	case "crowd":
		s.Crowds = append(s.Crowds, Crowd{Application: f.name, Idling: f.number("idling", 0), Unread: f.number("unread", 0), Oldest: f.span("oldest"),
			Client: f.text("client", ""), PID: uint32(f.number("pid", 0)), Class: f.text("class", ""), Named: Named{Called: f.text("called", ""), Query: f.text("query", "")}, Print: uint64(f.number("print", 0))})
	case "waits":
		s.Waits = Waits{CPU: f.number("cpu", 0), Lock: f.number("lock", 0), LWLock: f.number("lwlock", 0), IO: f.number("io", 0), Client: f.number("client", 0)}
	case "foreign":
		s.Foreign, s.Stranger = f.number("n", 0), Party{Application: f.name, Client: f.text("client", ""), PID: int32(f.number("pid", 0))}
	case "others":
		s.Most, s.Others = f.number("most", 100), f.number("n", 0)
		s.OtherParty = Party{Application: f.name, Count: f.number("of", 0), Client: f.text("client", "")}
	case "holder":
		s.Holder = f.holder()
	case "through":
		s.Holder.Through = f.holder()
	case "convoy":
		s.Convoys = append(s.Convoys, Convoy{Fingerprint: uint64(f.number("print", 1)), Named: Named{Called: f.text("called", ""), Query: f.text("query", "")}, Bound: f.number("bound", 0),
			Running: f.number("running", 0), Locked: f.number("locked", 0)})
	case "statement":
		st.rate(rate{print: Print{Fingerprint: uint64(f.number("print", 1)), Named: Named{Called: f.text("called", ""), Query: f.text("query", "")}}, calls: float64(f.number("calls", 0)), took: f.span("took"), running: float64(f.number("running", 0))})
	case "trip":
		s.RoundTrip = f.span("took")
	case "guard":
		s.Guard = Guard{Cores: float64(f.number("cores", 2)), Used: float64(f.number("used_percent", 0)) / 100, Lag: f.span("lag"), Throttled: f.number("throttled", 0) == 1}
	case "machine":
		s.Machine = Machine{Cores: float64(f.number("cores", 2)), Idle: float64(f.number("idle_percent", 0)) / 100, Process: f.name, PID: f.number("pid", 0),
			Used: float64(f.number("used_percent", 0)) / 100, Database: float64(f.number("database_percent", 0)) / 100}
	default:
		st.t.Fatalf("%q is about nothing that is known", line)
	}
}

// clear forgets what was said of something.
func (st *story) clear(about string) {
	switch about {
	case "class":
		st.sight.Classes = nil
	case "crowd":
		st.sight.Crowds = nil
	case "convoy":
		st.sight.Convoys = nil
	}
}

// rate gives a statement another rate; its counts go on.
func (st *story) rate(r rate) {
	for i := range st.rates {
		if st.rates[i].print.Fingerprint == r.print.Fingerprint {
			st.rates[i].calls, st.rates[i].took, st.rates[i].running = r.calls, r.took, r.running
			return
		}
	}
	st.rates = append(st.rates, r)
}

// fields are the words of one line.
type fields struct {
	t           *testing.T
	about, name string
	values      map[string]string
}

// fieldsOf reads: about name key=value key="some words".
func fieldsOf(t *testing.T, line string) fields {
	f := fields{t: t, values: map[string]string{}}
	quoted := false
	words := strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
	for i, w := range words {
		key, value, has := strings.Cut(w, "=")
		switch {
		case i == 0:
			f.about = w
		case has && !strings.HasPrefix(w, `"`):
			f.values[key] = unquoted(t, value)
		default:
			f.name = unquoted(t, w)
		}
	}
	return f
}

func unquoted(t *testing.T, text string) string {
	if !strings.HasPrefix(text, `"`) {
		return text
	}
	plain, err := strconv.Unquote(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return plain
}

func (f fields) number(key string, otherwise int) int {
	v, has := f.values[key]
	if !has {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		f.t.Fatalf("%s=%s is no number", key, v)
	}
	return n
}

func (f fields) text(key, otherwise string) string {
	if v, has := f.values[key]; has {
		return v
	}
	return otherwise
}

func (f fields) span(key string) time.Duration {
	v, has := f.values[key]
	if !has {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		f.t.Fatalf("%s=%s is no time", key, v)
	}
	return d
}

func (f fields) holder() *Holder {
	return &Holder{PID: int32(f.number("pid", 0)), Application: f.name, Idle: f.number("idle", 0) == 1, Held: f.span("held"), Named: Named{Called: f.text("called", ""), Query: f.text("query", "")},
		Blocks: f.number("blocks", 0), Class: f.text("class", ""), Client: f.text("client", "")}
}
