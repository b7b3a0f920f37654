package matrix

import (
	"math"
	"slices"

	"pgguard/bench/report"
)

// Names of the figures of a run that the matrix reads.
const (
	Goodput   = "goodput"
	Noise     = "goodput, standard error" // of the seconds' mean; says how far one run can be trusted
	ReadsP99  = "reads p99"               // of those served in time
	WritesP99 = "writes p99"              // of those served in time
	Refused   = "refused"                 // a second
	TimedOut  = "timed out"               // a second

	// Of a guard that finds its limit, as its metrics say.
	LimitLeast   = "guard: limit, least"
	LimitMost    = "guard: limit, most"
	LimitChanges = "guard: limit changes"
)

// The least share of the best of all that is green, and yellow.
const (
	GreenFrom  = 0.95
	YellowFrom = 0.90
)

// P99Most is how much longer than that of a fixed size in order of arrival the guard's p99 may be.
const P99Most = 1.3

// tie is how much goodput a fixed size may lack to be as good as the best: less is within the noise of a run.
const tie = 0.03

// Colour is a verdict on goodput.
type Colour string

// The colours.
const (
	Green  Colour = "green"  // within 5 % of the best of all, or above it
	Yellow Colour = "yellow" // within 10 %
	Red    Colour = "red"
)

// ColourOf is the colour of a ratio.
func ColourOf(ratio float64) Colour {
	switch {
	case ratio >= GreenFrom:
		return Green
	case ratio >= YellowFrom:
		return Yellow
	default:
		return Red
	}
}

// Verdict sets one judged guard in one cell beside all others.
type Verdict struct {
	Cell   *Measured
	Guard  string
	Good   report.Spread // its goodput
	Best   string        // who had most of all others
	Most   report.Spread // that one's goodput
	Ratio  float64       // of the medians
	Colour Colour
	// InOrder is the best fixed size that serves in order of arrival, if it served everybody in time; "" else. P99 is then the
	// guard's p99 of those served by that one's, of reads or of writes, whichever is worse.
	InOrder string
	P99     float64
}

// Late reports whether the guard's served wait much longer than in order of arrival.
func (v Verdict) Late() bool { return v.InOrder != "" && v.P99 > P99Most }

// Spread is a figure of a contender over the repeats.
func (m *Measured) Spread(contender, figure string) report.Spread {
	var values []float64
	for i := range m.Runs {
		if m.Runs[i].Target != contender {
			continue
		}
		if v, ok := m.Runs[i].Value(figure); ok {
			values = append(values, v)
		}
	}
	return report.SpreadOf(values)
}

// Best returns the contender of those roles with the most goodput, "" without any.
func (m *Measured) Best(roles ...Role) (name string, size int) {
	most := -1.0
	for _, c := range m.Contenders {
		if !slices.Contains(roles, c.Role) {
			continue
		}
		if s := m.Spread(c.Name, Goodput); s.N > 0 && s.Median > most {
			name, size, most = c.Name, c.Size, s.Median
		}
	}
	return name, size
}

// Judge returns the verdict on every judged guard in every cell in which there is another to be judged by, guard by guard.
func Judge(f *File) []Verdict {
	var guards []string
	for _, m := range f.Cells {
		for _, c := range m.Contenders {
			if c.Role == Judged && !slices.Contains(guards, c.Name) {
				guards = append(guards, c.Name)
			}
		}
	}
	var out []Verdict
	for _, guard := range guards {
		for _, m := range f.Cells {
			if v, ok := m.judge(guard); ok {
				out = append(out, v)
			}
		}
	}
	return out
}

func (m *Measured) judge(guard string) (Verdict, bool) {
	v := Verdict{Cell: m, Guard: guard, Good: m.Spread(guard, Goodput)}
	v.Best, _ = m.Best(Static, InOrder, PgBouncer, Direct, Other)
	if v.Good.N == 0 || v.Best == "" {
		return v, false
	}
	v.Most = m.Spread(v.Best, Goodput)
	v.Ratio = 1
	if v.Most.Median > 0 {
		v.Ratio = v.Good.Median / v.Most.Median
	}
	v.Colour = ColourOf(v.Ratio)
	v.InOrder = m.bestInOrder()
	if v.InOrder != "" {
		v.P99 = m.p99Of(guard, v.InOrder)
	}
	return v, true
}

// bestInOrder is who serves in order of arrival and served everybody in time in every repeat: of those within tie of the
// one with the most goodput, the one with the least p99. "" without any.
func (m *Measured) bestInOrder() string {
	var all []string
	most := 0.0
	for _, c := range m.Contenders {
		if c.Role != InOrder && c.Role != PgBouncer {
			continue
		}
		if m.Spread(c.Name, Refused).Max > 0 || m.Spread(c.Name, TimedOut).Max > 0 {
			continue
		}
		all = append(all, c.Name)
		most = max(most, m.Spread(c.Name, Goodput).Median)
	}
	best, least := "", math.Inf(1)
	for _, name := range all {
		p99 := max(m.Spread(name, ReadsP99).Median, m.Spread(name, WritesP99).Median)
		if g := m.Spread(name, Goodput).Median; g > 0 && g >= most*(1-tie) && p99 < least {
			best, least = name, p99
		}
	}
	return best
}

// p99Of is the p99 of one contender's served by another's, of the kind where it is worse.
func (m *Measured) p99Of(one, other string) float64 {
	worst := 0.0
	for _, figure := range []string{ReadsP99, WritesP99} {
		a, b := m.Spread(one, figure), m.Spread(other, figure)
		if a.N > 0 && b.N > 0 && b.Median > 0 {
			worst = max(worst, a.Median/b.Median)
		}
	}
	return worst
}

// Total is what the verdicts on one guard come to.
type Total struct {
	Guard                    string
	Cells                    int
	Green, Yellow, Red, Late int
	Ratio                    report.Spread // goodput, of the best of all
	P99                      report.Spread // of the best in order of arrival; N is the cells in which that served everybody in time
	Worst                    string        // the cell with the least ratio
}

// Totals adds up, guard by guard.
func Totals(verdicts []Verdict) []Total {
	var out []Total
	for len(verdicts) > 0 {
		n := 0
		for n < len(verdicts) && verdicts[n].Guard == verdicts[0].Guard {
			n++
		}
		t := Total{Guard: verdicts[0].Guard, Cells: n}
		var ratios, p99s []float64
		least := math.Inf(1)
		for _, v := range verdicts[:n] {
			ratios = append(ratios, v.Ratio)
			if v.InOrder != "" {
				p99s = append(p99s, v.P99)
			}
			if v.Ratio < least {
				t.Worst, least = v.Cell.Name, v.Ratio
			}
			switch v.Colour {
			case Green:
				t.Green++
			case Yellow:
				t.Yellow++
			case Red:
				t.Red++
			}
			if v.Late() {
				t.Late++
			}
		}
		t.Ratio, t.P99 = report.SpreadOf(ratios), report.SpreadOf(p99s)
		out = append(out, t)
		verdicts = verdicts[n:]
	}
	return out
}
