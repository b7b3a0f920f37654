package bench

import (
	"strings"

	"pgguard/bench/report"
	"pgguard/bench/scenario"
)

// namedChart is a chart and what to add to the file's name when a scenario has several.
type namedChart struct {
	report.Chart
	suffix string
}

// charts returns what there is to draw of a file.
func charts(f *report.File) []namedChart {
	switch f.Scenario {
	case "story":
		return append([]namedChart{{Chart: storyChart}}, control(f, scenario.SeriesReads, scenario.SeriesP99)...)
	case "spiral":
		return append([]namedChart{{Chart: spiralChart}}, control(f, scenario.SeriesGoodput, scenario.SeriesP99)...)
	case "steady":
		return steadyCharts(f)
	case "sweep":
		return []namedChart{{Chart: sweepChart}}
	case "overload", "restart":
		return control(f, "clients", "clients p99")
	case "convoy":
		return control(f, "writers", "readers p99")
	case "storm":
		return control(f, "storm", "steady p99")
	case "siege":
		return control(f, "working", "working p99")
	case "neighbours":
		return control(f, "bulk", "web p99")
	case "mixed":
		return control(f, "short", "short p99")
	case "replay":
		return control(f, scenario.SeriesGoodput, scenario.SeriesP99)
	case "diurnal":
		return control(f, "reads", "reads p99")
	default:
		return nil
	}
}

// control is the chart of what a guard decides and what comes of it: useful answers, a 99th percentile, what runs in the
// server, and the guard's limit and queue. Panels of which nothing was measured are left out.
func control(f *report.File, goodput, p99 string) []namedChart {
	chart := report.Chart{Title: f.Scenario + ": what is decided, and what comes of it"}
	for _, p := range []report.Panel{
		{Series: goodput, Label: label(goodput, "useful answers (1/s)")},
		{Series: p99, Label: label(p99, "p99 (ms)")},
		{Series: scenario.SeriesActive, Label: "running in server"},
		{Series: scenario.SeriesRunning, Dashed: scenario.SeriesLimit, Label: "running, limit (dashed)"},
		{Series: scenario.SeriesWaiting, Label: "waiting in guard"},
	} {
		if _, ok := report.MedianCurve(f.Runs, p.Series); ok {
			chart.Panels = append(chart.Panels, p)
		}
	}
	return []namedChart{{Chart: chart, suffix: "control"}}
}

// label names a panel by its series, unless that says no more than the unit.
func label(series, unit string) string {
	group := strings.TrimSuffix(series, " p99")
	if group == scenario.SeriesGoodput || group == scenario.SeriesP99 {
		return unit
	}
	return group + ": " + unit
}

var sweepChart = report.Chart{
	Title: "Frozen at one size after another",
	Panels: []report.Panel{
		{Series: scenario.SweepGoodput, Label: "useful answers (1/s)", LogX: true},
		{Series: scenario.SweepThroughput, Label: "done by server (1/s)", LogX: true},
		{Series: scenario.SweepP99, Label: "p99 (ms)", LogX: true},
	},
}

var storyChart = report.Chart{
	Title: "A file server stalls, workers are added, the stall ends",
	Panels: []report.Panel{
		{Series: scenario.SeriesReads, Label: "web reads in time (1/s)"},
		{Series: scenario.SeriesJobs, Label: "jobs done (1/s)"},
		{Series: scenario.SeriesServers, Label: "server connections"},
	},
}

var spiralChart = report.Chart{
	Title: "Workers stepped up far past the machine, and back",
	Panels: []report.Panel{
		{Series: scenario.SeriesGoodput, Label: "useful answers (1/s)"},
		{Series: scenario.SeriesServers, Label: "server connections"},
	},
}

// steadyCharts draws reads and writes apart, each over the number of clients, and neither when it was not measured.
func steadyCharts(f *report.File) []namedChart {
	var out []namedChart
	for _, kind := range []struct{ series, suffix string }{{scenario.Reads, "reads"}, {scenario.Writes, "writes"}} {
		for _, protocol := range scenario.Protocols {
			series := scenario.Spoken(kind.series, protocol)
			if _, ok := report.MedianCurve(f.Runs, series); !ok {
				continue
			}
			out = append(out, namedChart{suffix: strings.ReplaceAll(scenario.Spoken(kind.suffix, protocol), " ", "-"), Chart: report.Chart{
				Title: "What a proxy costs when nothing is wrong: " + series,
				Panels: []report.Panel{
					{Series: series, Label: "transactions (1/s)", LogX: true},
					{Series: series + " p99", Label: "latency p99 (ms)", LogX: true},
					{Series: series + " proxy CPU", Label: "proxy CPU (µs each)", LogX: true},
				},
			}})
		}
	}
	return out
}
