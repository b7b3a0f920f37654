package breaker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// scene is one breaker as a text test drives it, with an owner that calls Step every 250 ms.
type scene struct {
	t       *testing.T
	b       *Breaker
	random  float64
	start   time.Time
	now     time.Time
	pending []Probe // without an answer so far
	load    Load
	canary  string
	each    []string // outcomes that end before each step
	took    time.Duration
}

// TestBreakerStories runs testdata/breaker/*.txt:
//
//	set [running=N] [blocked=N] [full=N] [canary=ok|failed|hang] [each=ok,57P01,socket] [took=5ms] [random=0.5]
//	                                     what is so from now on; each are the statements that end before each step
//	run FOR                              lets time pass in steps of 250 ms; answers every change
//	end CODE… [times=1]                  statements that end now; ok, socket, a SQLSTATE, or raise-SQLSTATE for
//	                                     one that a statement raises by itself
//	dial ok|failed [times=1]             logins that end now
//	late                                 answers every canary that was given up, well
//	show                                 what the breaker allows
func TestBreakerStories(t *testing.T) {
	datadriven.Walk(t, "testdata/breaker", func(t *testing.T, path string) {
		s := &scene{t: t, random: 0.5, start: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), canary: "ok", load: Load{Full: 8}}
		s.now = s.start
		s.b = New(func() float64 { return s.random })
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string { return s.run(d) })
	})
}

func (s *scene) run(d *datadriven.TestData) string {
	var out strings.Builder
	times := 1
	d.MaybeScanArgs(s.t, "times", &times)
	switch d.Cmd {
	case "set":
		s.set(d)
	case "run":
		length, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		for end := s.now.Add(length); s.now.Before(end); {
			s.now = s.now.Add(250 * time.Millisecond)
			s.step(&out)
		}
	case "end":
		for range times {
			for _, a := range d.CmdArgs {
				if len(a.Vals) == 0 {
					s.end(a.Key)
				}
			}
		}
	case "dial":
		for range times {
			s.b.Dial(d.CmdArgs[0].Key == "ok", s.now)
		}
	case "late":
		for len(s.pending) > 0 && !s.pending[0].Deadline.After(s.now) {
			s.b.Canary(s.pending[0].ID, true)
			s.pending = s.pending[1:]
		}
	case "show":
		n, bounded := s.b.Limit()
		fmt.Fprintf(&out, "%s: %s allow=%v limit=%d,%v canaries=%d\n", s.now.Sub(s.start), s.b.State(), s.b.Allow(), n,
			bounded, len(s.pending))
	default:
		d.Fatalf(s.t, "unknown command")
	}
	return out.String()
}

func (s *scene) set(d *datadriven.TestData) {
	d.MaybeScanArgs(s.t, "running", &s.load.Running)
	d.MaybeScanArgs(s.t, "blocked", &s.load.Blocked)
	d.MaybeScanArgs(s.t, "full", &s.load.Full)
	d.MaybeScanArgs(s.t, "canary", &s.canary)
	for _, a := range d.CmdArgs {
		var err error
		switch a.Key {
		case "each":
			s.each = nil
			if v := a.SingleVal(s.t); v != "none" {
				s.each = strings.Split(v, "+")
			}
		case "took":
			s.took, err = time.ParseDuration(a.SingleVal(s.t))
		case "random":
			_, err = fmt.Sscan(a.SingleVal(s.t), &s.random)
		}
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
	}
}

func (s *scene) end(what string) {
	switch code, raised := strings.CutPrefix(what, "raise-"); {
	case raised && Classify(code) == Broken:
		s.b.Ended(Raised, s.took, s.now)
		return
	case raised:
		what = code
	}
	switch what {
	case "ok":
		s.b.Ended(Classify(""), s.took, s.now)
	case "socket":
		s.b.Ended(Broken, s.took, s.now)
	default:
		s.b.Ended(Classify(what), s.took, s.now)
	}
}

func (s *scene) step(out *strings.Builder) {
	for _, what := range s.each {
		s.end(what)
	}
	p, t := s.b.Step(s.now, s.load)
	if t.Changed() {
		if t.At != s.now || t.To != s.b.State() {
			s.t.Errorf("told of %+v at %s in state %s", t, s.now, s.b.State())
		}
		fmt.Fprintf(out, "%s: %s -> %s: %s", s.now.Sub(s.start), t.From, t.To, t.Cause)
		if t.Limit > 0 {
			fmt.Fprintf(out, " limit=%d", t.Limit)
		}
		for _, n := range t.Numbers {
			fmt.Fprintf(out, " %s=%.4g", n.Name, n.Value)
		}
		fmt.Fprintln(out)
	}
	if p.ID == 0 {
		return
	}
	if s.canary == "hang" {
		s.pending = append(s.pending, p)
		return
	}
	s.b.Canary(p.ID, s.canary == "ok")
}

func TestClassify(t *testing.T) {
	for code, want := range map[string]Outcome{
		"": Answered, "23505": Answered, "40P01": Answered, "55P03": Answered, "42601": Answered, "53400": Answered, "57P04": Answered,
		"XX": Answered, "25P03": Answered, "53000": Answered,
		"57014": Neutral, "53300": Neutral,
		"57P01": Broken, "57P02": Broken, "57P03": Broken, "53100": Broken, "53200": Broken, "58030": Broken, "58P01": Broken,
		"XX000": Broken, "XX001": Broken, "XX002": Broken, "08006": Broken, "08P01": Broken,
	} {
		if got := Classify(code); got != want {
			t.Errorf("%q: %d, want %d", code, got, want)
		}
	}
}

func TestChangedIdentity(t *testing.T) {
	a := Identity{System: "7", Timeline: 1}
	for name, c := range map[string]struct {
		next Identity
		want bool
	}{
		"the same after a restart": {a, false},
		"not known":                {Identity{}, false},
		"promoted":                 {Identity{System: "7", Timeline: 2}, true},
		"a standby of the same":    {Identity{System: "7", Timeline: 1, InRecovery: true}, true},
		"another cluster":          {Identity{System: "8", Timeline: 1}, true},
	} {
		if got := a.Changed(c.next); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (Identity{}).Changed(a) {
		t.Error("the first server ever seen is taken for another")
	}
}

func TestEndedAllocatesNothing(t *testing.T) {
	b := New(func() float64 { return 0 })
	now := time.Unix(0, 0)
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		b.Ended(Answered, time.Millisecond, now)
	}); n != 0 {
		t.Errorf("%v allocations for each statement, want 0", n)
	}
}
