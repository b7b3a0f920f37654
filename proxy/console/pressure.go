package console

import "slices"

var pressureColumns = slices.Concat(columns(text, "database", "state", "cause", "sentence", "advice", "since"), columns(int4, "sure_percent"),
	columns(text, "culprit", "evidence", "query"))

// showPressure shows what is wrong with each PostgreSQL, in a sentence, the worst first.
func showPressure(s *session) []row {
	var rows []row
	for _, v := range s.console.cfg.Verdicts() {
		rows = append(rows, row{
			v.Database, string(v.State), v.Cause, v.Sentence, v.Advice, moment(v.Since), int(v.Confidence*100 + 0.5), v.Culprit.Who(), evidence(&v.Evidence), v.Culprit.Query,
		})
	}
	return rows
}

var incidentColumns = slices.Concat(columns(int8, "number"), columns(text, "database", "began", "ended", "state", "cause", "sentence", "advice", "culprit"),
	columns(int4, "most_waiting"), columns(int8, "oldest_us", "refused"))

// showIncidents shows what was wrong lately, the last first; what goes on has no end.
func showIncidents(s *session) []row {
	var rows []row
	for _, in := range s.console.cfg.Incidents() {
		rows = append(rows, row{
			in.Number, in.Database, moment(in.Begin), moment(in.End), string(in.State), in.Cause, in.Sentence, in.Advice, in.Culprit.Who(),
			in.Peak.Waiting, int64(in.Peak.OldestSeconds * 1e6), in.RefusedInAll(),
		})
	}
	return rows
}
