package limit

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// adaptive is what a law offers that learns.
type adaptive interface {
	Limit
	Learned(time.Time) (Learned, bool)
	Resume(Learned, time.Time)
}

// plant is a server without chance: n statements at once get C(n) seconds of work done in each second.
type plant struct {
	law     adaptive
	now     time.Time
	cost    float64 // of a statement, in seconds
	write   bool    // no statement is a plain read, so that none votes
	cores   float64 // C(n) = min(n, cores), less 3 % for each beyond
	level   bool    // no less beyond
	factor  float64 // of capacity
	delay   float64 // of the network
	demand  int     // statements that want to run
	blocked int     // of those running, wait for a lock
	lwlock  float64 // the part of those running that waits for the server's own locks
	down    bool
	blind   bool
	late    int // each how many steps the guard gets no processor for half a second; 0: never
	steps   int
	count   int
}

// newPlant returns a server with 8 cores before a law.
func newPlant(law adaptive, demand int) *plant {
	return &plant{law: law, now: start, cost: 0.02, cores: 8, factor: 1, demand: demand}
}

// step plays 250 ms: ten fingerprints whose times spread over a factor of about ten.
func (p *plant) step() Decision {
	const length = 0.25
	p.now = p.now.Add(250 * time.Millisecond)
	refund := 0
	if !p.blind {
		refund = p.law.Refund(p.blocked)
	}
	running := min(p.demand, p.law.Current()+refund)
	n := float64(max(1, running-p.blocked))
	beyond := 0.03 * max(0, n-p.cores)
	if p.level {
		beyond = 0
	}
	work := min(n, p.cores) / (1 + beyond) * p.factor
	each := p.cost*n/work + p.delay
	done := int(n / each * length)
	if p.down {
		done = 0
	}
	kind := Read
	if p.write {
		kind = Write
	}
	for range done {
		p.count++
		z := math.Mod(float64(p.count)*0.618034, 1)*2 - 1 // evenly spread
		elapsed := p.cost*math.Exp(1.2*z)/1.3*n/work + p.delay
		p.law.Observe(Sample{Now: p.now, Elapsed: time.Duration(elapsed * 1e9), Running: running,
			Fingerprint: uint16(1 + p.count%10), Kind: kind})
	}
	s := Signals{Run: float64(running) * length, Sampled: !p.blind, Blocked: p.blocked, LWLock: p.lwlock, Cap: 100, Down: p.down}
	if p.demand > running {
		s.Bound = 250 * time.Millisecond
	}
	if p.steps++; p.late > 0 && p.steps%p.late == 0 {
		s.Lag = 500 * time.Millisecond
	}
	return p.law.Step(p.now, s)
}

// TestLawStories runs testdata/law/*.txt. A story is about one law before one server:
//
//	law [first=N]                            makes the law and a server with 8 cores, 200 statements waiting
//	world [cores=N] [factor=F] [delay=20ms] [demand=N] [blocked=N] [down=true|false] [blind=true|false]   changes the server
//	run 10s [all]                            plays it; answers each reason the first time (all: every change), and the end
func TestLawStories(t *testing.T) {
	datadriven.Walk(t, "testdata/law", func(t *testing.T, path string) {
		p := &plant{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "law":
				first := 0
				d.MaybeScanArgs(t, "first", &first)
				*p = *newPlant(NewAIMD(Config{First: first}), 200)
				return fmt.Sprintf("limit %d\n", p.law.Current())
			case "world":
				d.MaybeScanArgs(t, "cores", &p.cores)
				d.MaybeScanArgs(t, "factor", &p.factor)
				d.MaybeScanArgs(t, "demand", &p.demand)
				d.MaybeScanArgs(t, "blocked", &p.blocked)
				d.MaybeScanArgs(t, "down", &p.down)
				d.MaybeScanArgs(t, "blind", &p.blind)
				var delay string
				if d.MaybeScanArgs(t, "delay", &delay); delay != "" {
					v, err := time.ParseDuration(delay)
					if err != nil {
						d.Fatalf(t, "%v", err)
					}
					p.delay = v.Seconds()
				}
				return ""
			case "run":
				return p.run(t, d)
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}

func (p *plant) run(t *testing.T, d *datadriven.TestData) string {
	length, err := time.ParseDuration(d.CmdArgs[0].Key)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	var out strings.Builder
	told := map[Reason]bool{}
	begin := p.now
	for p.now.Sub(begin) < length {
		got := p.step()
		if got.Limit != p.law.Current() {
			t.Errorf("decision says %d, the limit is %d", got.Limit, p.law.Current())
		}
		if got.Reason != "" && (d.HasArg("all") || !told[got.Reason]) {
			told[got.Reason] = true
			fmt.Fprintf(&out, "%s limit %d: %s\n", p.now.Sub(begin), got.Limit, got.Reason)
		}
	}
	fmt.Fprintf(&out, "limit %d\n", p.law.Current())
	return out.String()
}

func TestObserveAllocatesNothing(t *testing.T) {
	l := NewAIMD(Config{})
	l.Step(start, Signals{})
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		l.Observe(Sample{Now: start.Add(time.Duration(i) * time.Millisecond), Elapsed: time.Duration(i%50) * time.Millisecond,
			Fingerprint: uint16(i % 600), Kind: Kind(i % 4), Running: 3})
	}); n != 0 {
		t.Errorf("%v allocations for a statement", n)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	l := NewAIMD(Config{})
	now := start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(250 * time.Millisecond)
		l.Step(now, Signals{Run: 2, Bound: 250 * time.Millisecond})
	}); n != 0 {
		t.Errorf("%v allocations for a step", n)
	}
}

// TestLimitStaysWithinBounds feeds the law with anything at all.
func TestLimitStaysWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.IntRange(0, 200).Draw(t, "first")
		l := NewAIMD(Config{First: first})
		now := start
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(-1000, 1000).Draw(t, "ms")) * time.Millisecond)
			for i := range rapid.IntRange(0, 60).Draw(t, "n") {
				l.Observe(Sample{Now: now, Elapsed: time.Duration(rapid.Int64Range(-1, 1<<40).Draw(t, "elapsed")),
					Fingerprint: uint16(i * 31), Kind: Kind(i % 4), Running: i})
			}
			s := Signals{
				Run: rapid.Float64Range(0, 100).Draw(t, "run"), Bound: time.Duration(rapid.IntRange(0, 300).Draw(t, "bound")) * time.Millisecond,
				Blocked: rapid.IntRange(0, 200).Draw(t, "blocked"), Peers: rapid.IntRange(0, 50).Draw(t, "peers"),
				Foreign: rapid.IntRange(0, 50).Draw(t, "foreign"), LWLock: rapid.Float64Range(0, 1).Draw(t, "lwlock"),
				Sampled: rapid.Bool().Draw(t, "sampled"), Cap: rapid.IntRange(1, 150).Draw(t, "cap"), Down: rapid.IntRange(0, 20).Draw(t, "down") == 0,
			}
			before := l.Current()
			d := l.Step(now, s)
			switch {
			case d.Limit != l.Current():
				t.Fatalf("decision says %d, the limit is %d", d.Limit, l.Current())
			case d.Limit < 1 || (now.After(start.Add(time.Second)) && d.Limit > s.Cap && before > s.Cap && d.Limit >= before):
				t.Fatalf("limit %d after %d, cap %d", d.Limit, before, s.Cap)
			case (d.Reason != "") != (d.Limit != before):
				t.Fatalf("limit %d after %d, reason %q", d.Limit, before, d.Reason)
			case l.Refund(s.Blocked) < 0 || l.Refund(s.Blocked) > s.Blocked:
				t.Fatalf("refund %d of %d blocked", l.Refund(s.Blocked), s.Blocked)
			case math.IsNaN(d.Evidence.Elasticity + d.Evidence.Slowdown + d.Evidence.Goal + d.Evidence.Work):
				t.Fatalf("evidence %+v", d.Evidence)
			}
		}
	})
}

// TestUnusedLimitDoesNotGrow: demand below the limit says nothing of what more would bring.
func TestUnusedLimitDoesNotGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPlant(NewAIMD(Config{}), rapid.IntRange(1, 3).Draw(t, "demand"))
		for range 400 {
			if rapid.IntRange(0, 50).Draw(t, "change") == 0 {
				p.factor = rapid.Float64Range(0.2, 2).Draw(t, "factor")
			}
			if d := p.step(); d.Limit > 8 {
				t.Fatalf("it grew to %d with %d statements", d.Limit, p.demand)
			}
		}
	})
}

// TestLimitComesBackFromTheFloor: whatever the past, a healthy server that many wait for is used again.
func TestLimitComesBackFromTheFloor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewAIMD(Config{})
		p := newPlant(l, 200)
		for range rapid.IntRange(1, 10).Draw(t, "incidents") {
			p.factor = rapid.Float64Range(0.05, 1).Draw(t, "factor")
			p.delay = rapid.SampledFrom([]float64{0, 0, 0.02, 0.2}).Draw(t, "delay")
			p.cores = rapid.SampledFrom([]float64{1, 2, 8, 32}).Draw(t, "cores")
			p.down = rapid.IntRange(0, 5).Draw(t, "down") == 0
			for range rapid.IntRange(1, 80).Draw(t, "steps") {
				p.step()
			}
		}
		p.factor, p.delay, p.cores, p.down = 1, 0, 8, false
		if mean := p.aMinuteLater(); mean < 4 || mean > 24 {
			t.Fatalf("a minute later the limit is %.1f on 8 cores", mean)
		}
	})
}

// TestLimitComesBackWheneverTheWorldChanges: a server so slow that no statement has a vote becomes a healthy one, before, during or after an
// experiment.
func TestLimitComesBackWheneverTheWorldChanges(t *testing.T) {
	for _, slow := range []plant{{cores: 1, factor: 1}, {cores: 1, factor: 0.1}, {cores: 2, factor: 0.5}, {cores: 1, factor: 0.05, delay: 0.02}} {
		for steps := 100; steps < 160; steps += 2 {
			l := NewAIMD(Config{})
			p := newPlant(l, 200)
			p.cores, p.delay = 32, 0.2
			for range 60 {
				p.step()
			}
			p.cores, p.factor, p.delay = slow.cores, slow.factor, slow.delay
			for range steps {
				p.step()
			}
			p.cores, p.factor, p.delay = 8, 1, 0
			if mean := p.aMinuteLater(); mean < 4 || mean > 24 {
				t.Errorf("%v cores at %v, changed after %d steps: a minute later the limit is %.1f on 8 cores", slow.cores, slow.factor, steps, mean)
			}
		}
	}
}

// TestCrowdingTakesHalfAtMost: statements that wait for the server's own locks for as long as there are any lower the limit by half at most, and not below
// where a few of them are a quarter.
func TestCrowdingTakesHalfAtMost(t *testing.T) {
	for _, cores := range []float64{2, 8, 32} {
		var mean [2]float64
		for i, lwlock := range []float64{0, 0.5} {
			p := newPlant(NewAIMD(Config{}), 200)
			p.cores = cores
			for range 400 {
				p.step()
			}
			p.lwlock = lwlock
			for range 5 {
				mean[i] = p.aMinuteLater()
			}
		}
		if least := min(mean[0], max(mean[0]/2, 8)); mean[1] < 0.9*least {
			t.Errorf("%v cores: the limit is %.1f, and %.1f where half of the statements wait for the server's own locks", cores, mean[0], mean[1])
		}
	}
}

// aMinuteLater is the mean limit of the last 40 of the next 100 seconds.
func (p *plant) aMinuteLater() (mean float64) {
	for i := range 400 {
		if d := p.step(); i >= 240 {
			mean += float64(d.Limit) / 160
		}
	}
	return mean
}

func TestFailedStatementsSayNothing(t *testing.T) {
	l := NewAIMD(Config{})
	l.Step(start, Signals{})
	for i := range 1000 {
		l.Observe(Sample{Now: start, Elapsed: time.Second, Fingerprint: uint16(i % 10), Kind: Failed})
	}
	if d := l.Step(start.Add(250*time.Millisecond), Signals{Run: 1}); d.Evidence.Work != 0 {
		t.Errorf("work %v was counted for statements that failed", d.Evidence.Work)
	}
}

func TestCommitHasNoVote(t *testing.T) {
	l := NewAIMD(Config{})
	l.Step(start, Signals{})
	for range 1000 {
		l.Observe(Sample{Now: start, Elapsed: time.Second, Fingerprint: 3, Kind: Control})
	}
	if l.meter.now.votes.total != 0 {
		t.Errorf("%d votes of COMMIT", l.meter.now.votes.total)
	}
}

func TestLearnedIsUsedAsHalf(t *testing.T) {
	for _, c := range []struct {
		name string
		kept Learned
		want int
	}{
		{"an hour ago", Learned{start.Add(-time.Hour), 40}, 20},
		{"yesterday", Learned{start.Add(-25 * time.Hour), 40}, 8},
		{"the future", Learned{start.Add(time.Hour), 40}, 8},
		{"not a number", Learned{start, math.NaN()}, 8},
		{"endless", Learned{start, math.Inf(1)}, 8},
		{"damaged", Learned{start, 1e9}, 1000},
		{"nothing", Learned{}, 8},
	} {
		l := NewAIMD(Config{})
		if l.Resume(c.kept, start); l.Current() != c.want {
			t.Errorf("%s: limit %d, want %d", c.name, l.Current(), c.want)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	l := NewAIMD(Config{})
	l.Step(start, Signals{})
	i := 0
	for b.Loop() {
		i++
		l.Observe(Sample{Now: start.Add(time.Duration(i) * 50 * time.Microsecond), Elapsed: time.Duration(1+i%50) * time.Millisecond,
			Fingerprint: uint16(1 + i%40), Kind: Read, Running: 8})
	}
}
