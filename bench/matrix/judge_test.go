package matrix

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"pgguard/bench/report"
)

// run is a run of a contender with the figures that are judged; p99 is of reads and of writes.
func run(target string, repeat int, goodput, reads, writes, timedOut float64) report.Run {
	r := report.Run{Target: target, Repeat: repeat}
	r.Add(Goodput, "1/s", goodput)
	r.Add(ReadsP99, "ms", reads)
	if writes > 0 {
		r.Add(WritesP99, "ms", writes)
	}
	r.Add(Refused, "1/s", 0)
	r.Add(TimedOut, "1/s", timedOut)
	return r
}

var (
	guardRole = Contender{"guard", Judged, 0}
	static4   = Contender{"limit 4", Static, 4}
	static8   = Contender{"limit 8", Static, 8}
	inOrder8  = Contender{"in order, limit 8", InOrder, 8}
	pool20    = Contender{"pgbouncer pool 20", PgBouncer, 20}
	alone     = Contender{"direct", Direct, 0}
)

// sample is two cells of two repeats: in the first the guard is near the best and its writers wait; in the second it is far
// from the best, and nobody serves everybody in time.
func sample() *File {
	f := &File{Repeats: 2, Programs: map[string]string{"guard": "pgguard <x>"}}
	first, second := &Measured{Cell: Table()[0]}, &Measured{Cell: Pairs()[0], Rate: 12}
	for repeat := range 2 {
		d := float64(repeat)
		first.Add(guardRole, run("guard", repeat, 96+d, 20, 400, 0))
		first.Add(static4, run("limit 4", repeat, 90+d, 10, 10, 0))
		first.Add(static8, run("limit 8", repeat, 100+d, 5, 5, 3))
		first.Add(inOrder8, run("in order, limit 8", repeat, 99+d, 50, 200, 0))
		first.Add(pool20, run("pgbouncer pool 20", repeat, 98+d, 40, 100, 0))
		first.Add(alone, run("direct", repeat, 60+d, 900, 900, 50))
		second.Add(guardRole, run("guard", repeat, 50, 100, 0, 10))
		second.Add(static8, run("limit 8", repeat, 80, 100, 0, 10))
		second.Add(pool20, run("pgbouncer pool 20", repeat, 70, 10, 0, d))
	}
	first.Runs[0].Add(LimitLeast, "", 2)
	first.Runs[0].Add(LimitMost, "", 16)
	first.Runs[0].Add(LimitChanges, "", 5)
	first.Runs[0].Doubts = []string{"a <doubt>"}
	second.Wrong = []string{"direct, repeat 1: gone"}
	f.Cells = []*Measured{first, second}
	return f
}

func TestJudgeSetsTheGuardBesideTheBestOfAll(t *testing.T) {
	verdicts := Judge(sample())
	if len(verdicts) != 2 {
		t.Fatalf("%d verdicts", len(verdicts))
	}
	a, b := verdicts[0], verdicts[1]
	if a.Best != "limit 8" || a.Ratio != 96.5/100.5 || a.Colour != Green || a.Good.Min != 96 || a.Good.Max != 97 {
		t.Errorf("%+v", a)
	}
	// Of those in order of arrival who lost nobody the pool is as good as the limit, and quicker; the writers wait longest.
	if a.InOrder != "pgbouncer pool 20" || a.P99 != 4 || !a.Late() {
		t.Errorf("p99 %v of %q", a.P99, a.InOrder)
	}
	if b.Best != "limit 8" || b.Ratio != 50.0/80 || b.Colour != Red {
		t.Errorf("%+v", b)
	}
	if b.InOrder != "" || b.Late() {
		t.Errorf("a pool that lost somebody in one repeat is a judge: %+v", b)
	}
	totals := Totals(verdicts)
	if len(totals) != 1 {
		t.Fatalf("%+v", totals)
	}
	if g := totals[0]; g.Green != 1 || g.Yellow != 0 || g.Red != 1 || g.Late != 1 || g.P99.N != 1 || g.Worst != "pair 1" || g.Ratio.Min != 50.0/80 {
		t.Errorf("%+v", g)
	}
}

func TestColours(t *testing.T) {
	for r, want := range map[float64]Colour{1.2: Green, 0.95: Green, 0.94: Yellow, 0.9: Yellow, 0.89: Red, 0: Red} {
		if got := ColourOf(r); got != want {
			t.Errorf("%v is %s, want %s", r, got, want)
		}
	}
}

// TestTwoGuardsAreJudgedApart, each in the cells that it was measured in, and neither by the other.
func TestTwoGuardsAreJudgedApart(t *testing.T) {
	f := sample()
	f.Cells[0].Add(Contender{"old", Judged, 0}, run("old", 0, 1000, 1, 1, 0))
	verdicts := Judge(f)
	if len(verdicts) != 3 || verdicts[2].Guard != "old" || verdicts[2].Best != "limit 8" || verdicts[0].Best != "limit 8" {
		t.Errorf("%+v", verdicts)
	}
	if totals := Totals(verdicts); len(totals) != 2 || totals[0].Cells != 2 || totals[1].Cells != 1 {
		t.Errorf("%+v", totals)
	}
}

// TestACellNobodyElseWasMeasuredInHasNoVerdict, so that a matrix that was broken off can be shown.
func TestACellNobodyElseWasMeasuredInHasNoVerdict(t *testing.T) {
	m := &Measured{Cell: Table()[0]}
	m.Add(guardRole, run("guard", 0, 5, 1, 1, 0))
	if v := Judge(&File{Cells: []*Measured{m}}); len(v) != 0 {
		t.Errorf("%+v", v)
	}
}

func TestFileComesBackAsItWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "m.json")
	if err := sample().Save(path); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var before, after bytes.Buffer
	if err := errors.Join(sample().WriteMarkdown(&before), f.WriteMarkdown(&after)); err != nil {
		t.Fatal(err)
	}
	if before.String() != after.String() {
		t.Errorf("got\n%s\nwant\n%s", after.String(), before.String())
	}
}

func TestTheTablesSayWhoAndHowMuch(t *testing.T) {
	var markdown, columns bytes.Buffer
	if err := errors.Join(sample().WriteMarkdown(&markdown), sample().WriteVerdicts(&columns)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| guard | 96.5 (96–97) | limit 8 | 100 (100–101) | 0.96 | green | 4.00 (pgbouncer pool 20) |",
		"| guard | 2 | 1 | 0 | 1 | 0.62 | 0.79 | 4.00 | 4.00 | 1 of 1 | pair 1 |",
		"| direct | 60.5 (60–61) | 900 (900–900) | 900 (900–900) | 0 (0–0) | 50 (50–50) |",
		"guard: limit from 2 to 16, changed 5 times.", "Doubtful: a <doubt>: guard.", "Failed: direct, repeat 1: gone.", "12 arrivals a second, 0.9 times what the server does directly.",
	} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("no %q in\n%s", want, markdown.String())
		}
	}
	for _, want := range []string{"0.96    green", "guard: 1 green, 0 yellow, 1 red; of the best of all least 0.62 (pair 1), median 0.79"} {
		if !strings.Contains(columns.String(), want) {
			t.Errorf("no %q in\n%s", want, columns.String())
		}
	}
}

// TestThePageShowsEveryCellOnce, well formed, with its colour, its figures and a place to go to, and fetches nothing.
func TestThePageShowsEveryCellOnce(t *testing.T) {
	b, err := sample().WritePage()
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for want, times := range map[string]int{
		`<rect class="green"`: 1, `<rect class="red"`: 1, `<details id="table-32">`: 1, `<details id="pair-1">`: 1,
		`<a href="#pair-1"><title>pair 1: 20 ms, `: 1 + int(numFactors), `<td class="red">0.62</td>`: 1, "pgguard &lt;x&gt;": 1, "<td>99.5 (99–100)</td>": 1,
		"prefers-color-scheme: dark": 1, `<circle class="late"`: 1, "http": 0, "<x>": 0,
	} {
		if got := strings.Count(text, want); got != times {
			t.Errorf("%q occurs %d times, want %d", want, got, times)
		}
	}
	for rest := text; ; {
		i := strings.Index(rest, "<svg")
		if i < 0 {
			break
		}
		j := strings.Index(rest, "</svg>") + len("</svg>")
		d := xml.NewDecoder(strings.NewReader(rest[i:j]))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("picture: %v", err)
			}
		}
		rest = rest[j:]
	}
}

// TestEveryCellOfTheDesignHasAPlaceInThePicture of its own.
func TestEveryCellOfTheDesignHasAPlaceInThePicture(t *testing.T) {
	var verdicts []Verdict
	for _, c := range Design(0) {
		verdicts = append(verdicts, Verdict{Cell: &Measured{Cell: c}, Ratio: 1, Colour: Green})
	}
	p := pictureOf(verdicts)
	if len(p.Boxes) != len(verdicts) {
		t.Errorf("%d boxes for %d cells", len(p.Boxes), len(verdicts))
	}
	for i, a := range p.Boxes {
		if a.W < 5 || a.X < leftWidth || a.X+a.W > p.Width || a.Y+a.H > p.Height {
			t.Errorf("%s is at %+v of %d × %d", a.ID, a, p.Width, p.Height)
		}
		for _, b := range p.Boxes[:i] {
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s lies on %s", a.ID, b.ID)
			}
		}
	}
}
