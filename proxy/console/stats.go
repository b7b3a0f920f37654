package console

import (
	"slices"
	"strings"
	"time"

	"pgguard/pool/sorting"
	"pgguard/proxy"
)

// figure is one number that PgBouncer's statistics have of a database.
type figure struct {
	total, average string // in SHOW STATS, behind total_ and avg_
	plain          string // in STATS_TOTALS
	mean           string // in STATS_AVERAGES
	sum            string // in TOTALS
	of             func(t proxy.Totals) uint64
	each           func(t proxy.Totals) uint64 // its average is for each of these; nil: for each second
}

func micros(d time.Duration) uint64 { return uint64(max(0, d/time.Microsecond)) }

// figures are all of them, in PgBouncer's order.
var figures = []figure{
	{"server_assignment_count", "server_assignment_count", "server_assignment_count", "server_assignment_count", "server_assignment_count", func(t proxy.Totals) uint64 { return t.Leases }, nil},
	{"xact_count", "xact_count", "xact_count", "xact_count", "xact_count", transactionsOf, nil},
	{"query_count", "query_count", "query_count", "query_count", "query_count", queriesOf, nil},
	{"received", "recv", "bytes_received", "bytes_received", "client_bytes", func(t proxy.Totals) uint64 { return t.Received }, nil},
	{"sent", "sent", "bytes_sent", "bytes_sent", "server_bytes", func(t proxy.Totals) uint64 { return t.Sent }, nil},
	{"xact_time", "xact_time", "xact_time", "xact_time", "xact_time", func(t proxy.Totals) uint64 { return micros(t.TransactionTime) }, transactionsOf},
	{"query_time", "query_time", "query_time", "query_time", "query_time", func(t proxy.Totals) uint64 { return micros(t.QueryTime) }, queriesOf},
	{"wait_time", "wait_time", "wait_time", "wait_time", "wait_time", func(t proxy.Totals) uint64 { return micros(t.WaitTime) }, nil},
	{"client_parse_count", "client_parse_count", "client_parse_count", "avg_client_parse_count", "ps_client_parse_count", func(t proxy.Totals) uint64 { return t.Parses }, nil},
	{"server_parse_count", "server_parse_count", "server_parse_count", "avg_server_parse_count", "ps_server_parse_count", func(t proxy.Totals) uint64 { return t.Prepared }, nil},
	{"bind_count", "bind_count", "bind_count", "avg_bind_count", "ps_bind_count", func(t proxy.Totals) uint64 { return t.Binds }, nil},
}

func transactionsOf(t proxy.Totals) uint64 { return t.Transactions }

func queriesOf(t proxy.Totals) uint64 { return t.Queries }

// averageOf is a figure's average of what was done in a time.
func (f *figure) averageOf(did proxy.Totals, took time.Duration) uint64 {
	if f.each != nil {
		if n := f.each(did); n > 0 {
			return f.of(did) / n
		}
		return 0
	}
	if took <= 0 {
		return 0
	}
	return uint64(float64(f.of(did)) / took.Seconds())
}

// numerics are columns of numbers behind those given, one for each figure.
func numerics(before []column, names ...func(f *figure) string) []column {
	list := slices.Clone(before)
	for _, name := range names {
		for i := range figures {
			list = append(list, column{name(&figures[i]), numeric})
		}
	}
	return list
}

var (
	ofDatabase           = columns(text, "database")
	statsColumns         = numerics(ofDatabase, func(f *figure) string { return "total_" + f.total }, func(f *figure) string { return "avg_" + f.average })
	statsTotalsColumns   = numerics(ofDatabase, func(f *figure) string { return f.plain })
	statsAveragesColumns = numerics(ofDatabase, func(f *figure) string { return f.mean })
	totalsColumns        = []column{{"name", text}, {"value", numeric}}
)

// account is what one database has done, and in the last period.
type account struct {
	name       string
	total, did proxy.Totals
	took       time.Duration
}

// accounts are those of all databases and of the console.
func (s *session) accounts() []account {
	now := time.Now()
	var list []account
	for _, d := range s.guard.Databases() {
		a := account{name: d.Name, total: d.Totals}
		a.did, a.took = s.console.averages.of(d.Name, d.Totals, now)
		list = append(list, a)
	}
	own := proxy.Totals{Queries: s.console.commands.Load(), Transactions: s.console.commands.Load()}
	list = append(list, account{name: adminName, total: own})
	sorting.By(list, func(a, b account) int { return strings.Compare(a.name, b.name) })
	return list
}

// statsRows shows of each database its totals, its averages, or both.
func (s *session) statsRows(totals, averages bool) []row {
	var rows []row
	for _, a := range s.accounts() {
		r := row{a.name}
		for i := range figures {
			if totals {
				r = append(r, figures[i].of(a.total))
			}
		}
		for i := range figures {
			if averages {
				r = append(r, figures[i].averageOf(a.did, a.took))
			}
		}
		rows = append(rows, r)
	}
	return rows
}

func showStats(s *session) []row { return s.statsRows(true, true) }

func showStatsTotals(s *session) []row { return s.statsRows(true, false) }

func showStatsAverages(s *session) []row { return s.statsRows(false, true) }

// showTotals shows the sums over all databases.
func showTotals(s *session) []row {
	var total, did proxy.Totals
	var took time.Duration
	for _, a := range s.accounts() {
		total.Add(a.total)
		did.Add(a.did)
		took = max(took, a.took)
	}
	var rows []row
	for i := range figures {
		rows = append(rows, row{"total_" + figures[i].sum, figures[i].of(total)})
	}
	for i := range figures {
		rows = append(rows, row{"avg_" + figures[i].sum, figures[i].averageOf(did, took)})
	}
	return rows
}
