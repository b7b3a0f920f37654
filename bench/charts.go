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
		return []namedChart{{Chart: storyChart}}
	case "spiral":
		return []namedChart{{Chart: spiralChart}}
	case "steady":
		return steadyCharts(f)
	default:
		return nil
	}
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
