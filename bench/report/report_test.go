package report

import (
	"bytes"
	"image/png"
	"os"
	"strings"
	"testing"
)

// sample is a file of two targets and three repeats, with a figure only one of them has.
func sample() *File {
	f := &File{Scenario: "story"}
	for repeat := range 3 {
		for i, target := range []string{"direct", "guard"} {
			r := Run{Target: target, Repeat: repeat, Phases: []Phase{
				{Name: "before", To: 1}, {Name: "stall", From: 1, To: 2, Trouble: true}, {Name: "after", From: 2, To: 3},
			}}
			r.Add("goodput", "1/s", float64(10*(i+1)+repeat*repeat))
			if target == "guard" {
				r.Add("proxy CPU", "cores", 0.25)
			}
			r.Errors = map[string]int64{"stall, reads: 53300": int64(i * 5)}
			r.Series = []Series{PerSecond("goodput", "1/s", []float64{1, float64(repeat), 30})}
			f.Runs = append(f.Runs, r)
		}
	}
	return f
}

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Spread
	}{
		{nil, Spread{}},
		{[]float64{4}, Spread{4, 4, 4, 1}},
		{[]float64{9, 1, 5}, Spread{5, 1, 9, 3}},
		{[]float64{8, 2, 4, 6}, Spread{5, 2, 8, 4}},
	} {
		if got := SpreadOf(c.in); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestWriteTableShowsMedianAndSpreadPerTarget(t *testing.T) {
	var b bytes.Buffer
	f := sample()
	if err := WriteTable(&b, Summarise(f)); err != nil {
		t.Fatal(err)
	}
	if err := WriteErrors(&b, f); err != nil {
		t.Fatal(err)
	}
	want := `figure     unit       direct             guard
──────────────────────────────────────────────
goodput    1/s    11 (10–14)        21 (20–24)
proxy CPU  cores           -  0.25 (0.25–0.25)

failed requests        direct  guard
────────────────────────────────────
stall, reads: 53300         0     15
`
	got := strings.ReplaceAll(b.String(), "0.250", "0.25")
	if squeeze(got) != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// squeeze leaves the width of columns out of a comparison.
func squeeze(s string) string {
	s = strings.ReplaceAll(s, "─", "")
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

func TestWriteGridAlignsColumns(t *testing.T) {
	var b bytes.Buffer
	if err := WriteGrid(&b, [][]string{{"a", "unit", "x"}, {"long", "µs", "12"}}); err != nil {
		t.Fatal(err)
	}
	want := "a     unit   x\n──────────────\nlong  µs    12\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestNumberHasThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12: "12", 1234.5: "1234", 99.96: "100.0", 12.34: "12.3", 1.234: "1.23", 0.0123: "0.012"} {
		if got := Number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestMedianCurveIsPointwiseAndAsLongAsTheShortest(t *testing.T) {
	runs := []Run{
		{Series: []Series{PerSecond("a", "", []float64{1, 9, 5, 7})}},
		{Series: []Series{PerSecond("a", "", []float64{2, 1, 5})}},
		{Series: []Series{PerSecond("a", "", []float64{3, 2, 6, 7})}},
		{},
	}
	got, ok := MedianCurve(runs, "a")
	if !ok || len(got.Y) != 3 || got.Y[0] != 2 || got.Y[1] != 2 || got.Y[2] != 5 || len(got.X) != 3 {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := MedianCurve(runs, "b"); ok {
		t.Error("a series nobody has is found")
	}
}

func TestSetCalibrationDoubtsAMachineThatChanged(t *testing.T) {
	var steady, changed Run
	steady.SetCalibration(100, 95)
	changed.SetCalibration(100, 80)
	if len(steady.Doubts) != 0 || len(changed.Doubts) != 1 {
		t.Errorf("5 %%: %q, 20 %%: %q", steady.Doubts, changed.Doubts)
	}
}

func TestFileSurvivesSaveAndLoad(t *testing.T) {
	path := t.TempDir() + "/new/results.json"
	f := sample()
	if err := f.Save(path); err != nil {
		t.Fatal(err)
	}
	g, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if err := WriteTable(&a, Summarise(f)); err != nil {
		t.Fatal(err)
	}
	if err := WriteTable(&b, Summarise(g)); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() {
		t.Errorf("saved\n%s\nloaded\n%s", a.String(), b.String())
	}
}

func TestChartIsDrawnInItsSizeWithBothColours(t *testing.T) {
	dir := t.TempDir()
	chart := Chart{Title: "title", Panels: []Panel{{Series: "goodput", Label: "goodput (1/s)"}, {Series: "absent", Label: "absent"}}}
	paths, err := chart.WriteFiles(sample(), dir, "x")
	if err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "goodput (1/s)", "stall", "guard", "time (s)"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the SVG lacks %q", want)
		}
	}
	file, err := os.Open(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 1000 || b.Dy() != 900 {
		t.Errorf("the PNG is %d by %d", b.Dx(), b.Dy())
	}
	found := map[string]bool{}
	for x := range 1000 {
		for y := range 900 {
			r, g, b, _ := img.At(x, y).RGBA()
			switch [3]uint32{r >> 8, g >> 8, b >> 8} {
			case [3]uint32{213, 94, 0}:
				found["direct"] = true
			case [3]uint32{0, 158, 115}:
				found["guard"] = true
			}
		}
	}
	if !found["direct"] || !found["guard"] {
		t.Errorf("colours found: %v", found)
	}
}

// TestPageHasAllOfARun: where it was, the chart, each figure of each target, what failed and what is doubtful; and no name becomes markup.
func TestPageHasAllOfARun(t *testing.T) {
	evil := `<script>alert("x")</script>`
	f := &File{Scenario: "spiral", Command: []string{"run", "spiral", evil}, Machine: Machine{Cores: 2, Model: "A Machine"}}
	for i, target := range []string{"direct", evil} {
		f.Runs = append(f.Runs, Run{
			Target: target, Figures: []Figure{{"answers", "1/s", 1234 + float64(i)}}, Series: []Series{PerSecond("goodput", "1/s", []float64{1, 2, 3})},
			Errors: map[string]int64{"climb web 53300": 77}, Doubts: []string{"it was noisy"},
		})
	}
	page, err := Page([]Section{{f, []Chart{{Title: evil, Panels: []Panel{{Series: "goodput", Label: "answers"}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<h2>spiral</h2>", "A Machine", "<figure><svg", "</svg>", "<td>1234</td>", "<td>1235</td>", "<td>77</td>", "direct, repeat 0: it was noisy", "alert("} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, bad := range []string{"<script", "http://www.w3.org/TR", "src=", "href=\"http"} {
		if strings.Contains(string(page), bad) {
			t.Errorf("the page has %s", bad)
		}
	}
}
