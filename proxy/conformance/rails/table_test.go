//go:build rails

package rails

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// spread is the least and the most of what the legs have.
func spread[T int | time.Duration](legs []*leg, of func(*leg) T, say func(T) string) string {
	var all []T
	for _, l := range legs {
		all = append(all, of(l))
	}
	if len(all) == 0 {
		return "-"
	}
	least, most := say(slices.Min(all)), say(slices.Max(all))
	if least == most {
		return least
	}
	return least + " to " + most
}

func whole(n int) string { return fmt.Sprint(n) }

// milliseconds of requests; nothing was answered: a dash.
func milliseconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprint(d.Round(time.Millisecond).Milliseconds())
}

// seconds until the page was whole; a negative one is never.
func seconds(d time.Duration) string {
	if d < 0 {
		return "never"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// table is what users met, direct and guarded side by side.
func table(direct, guarded []*leg) string {
	var b strings.Builder
	b.WriteString("| | web p50, ms: direct | guarded | p99, ms: direct | guarded | errors: direct | guarded | jobs done: direct | guarded |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range phases {
		fmt.Fprintf(&b, "| %s", p.name)
		for _, cell := range []func(legs []*leg) string{
			func(legs []*leg) string {
				return spread(legs, func(l *leg) time.Duration { return l.at[p.name].P50 }, milliseconds)
			},
			func(legs []*leg) string {
				return spread(legs, func(l *leg) time.Duration { return l.at[p.name].P99 }, milliseconds)
			},
			func(legs []*leg) string { return spread(legs, func(l *leg) int { return l.at[p.name].Errors }, whole) },
			func(legs []*leg) string { return spread(legs, func(l *leg) int { return l.jobs[p.name] }, whole) },
		} {
			fmt.Fprintf(&b, " | %s | %s", cell(direct), cell(guarded))
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\n| | direct | guarded |\n|---|---|---|\n")
	for _, row := range []struct {
		name string
		of   func(legs []*leg) string
	}{
		{"jobs that failed, and wait to be tried again or given up", func(legs []*leg) string { return spread(legs, func(l *leg) int { return l.failed }, whole) }},
		{"jobs not done at the end", func(legs []*leg) string { return spread(legs, func(l *leg) int { return l.undone }, whole) }},
		{"from the restart until no request failed any more", func(legs []*leg) string {
			return spread(legs, func(l *leg) time.Duration { return l.whole }, seconds)
		}},
	} {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.name, row.of(direct), row.of(guarded))
	}
	return b.String()
}

func TestQuantileAndRecovery(t *testing.T) {
	from := time.Now()
	c := &crowd{}
	for i, x := range []struct {
		took time.Duration
		err  error
	}{{10 * time.Millisecond, nil}, {3 * time.Second, nil}, {time.Millisecond, status(500)}, {20 * time.Millisecond, nil}, {30 * time.Millisecond, nil}} {
		c.all = append(c.all, asked{at: from.Add(time.Duration(i) * time.Second), took: x.took, err: x.err})
	}
	if s := c.between(from, from.Add(4*time.Second)); s.Asked != 4 || s.Errors != 1 || s.P50 != 20*time.Millisecond || s.P99 != 3*time.Second {
		t.Errorf("%+v", s)
	}
	if d := c.answeredSince(from); d != 3*time.Second {
		t.Errorf("whole after %s", d)
	}
	c.all = append(c.all, asked{at: from.Add(time.Minute), err: status(503)})
	if d := c.answeredSince(from); d >= 0 {
		t.Errorf("whole after %s, and then a request failed", d)
	}
}
