package console

import (
	"strings"
)

// prepare reads a command. What it would do is settled here; whether it may, when it is carried out.
func (s *session) prepare(text string) (*statement, error) {
	c := read(text)
	if c.long {
		return nil, failed("bad arguments")
	}
	switch c.verb {
	case "show", "select":
		if st := s.show(c); st != nil {
			return st, nil
		}
	default:
		if st := s.alter(c); st != nil {
			return st, nil
		}
	}
	return nil, s.invalid(text)
}

// invalid says that nothing is known of a command. PgBouncer cuts its words at 1,023 bytes, and so are these.
func (s *session) invalid(text string) error {
	f := failed("invalid command '%s', use SHOW HELP;", hidden(text))
	if len(f.message) > longestError {
		f.message = strings.ToValidUTF8(f.message[:longestError], "")
	}
	return f
}

const longestError = 1023

// show is a statement that shows something; nil: there is nothing of that name.
func (s *session) show(c command) *statement {
	name := strings.ToLower(c.arg)
	if value, ok := pretended[name]; ok {
		return &statement{columns: columns(text, name), run: func(*session) (result, error) {
			return result{rows: []row{{value}}, tag: "SHOW"}, nil
		}}
	}
	if name == "help" {
		return &statement{run: help}
	}
	v, ok := views[name]
	if !ok {
		return nil
	}
	return &statement{columns: v.columns, run: func(s *session) (result, error) {
		if v.admin && !s.operator.Changes {
			return result{}, errNotAdmin
		}
		return result{rows: v.rows(s), tag: "SHOW"}, nil
	}}
}

// pretended are settings that clients ask any server for.
var pretended = map[string]string{
	"client_encoding": "UTF-8", "default_transaction_isolation": "read committed", "standard_conforming_strings": "on", "datestyle": "ISO", "timezone": "GMT",
}

// view is what one SHOW shows.
type view struct {
	columns []column
	admin   bool // not for who may only look
	rows    func(s *session) []row
}

// views are all of them, by name.
var views map[string]view

func init() { // not a literal: some of them look at it
	views = map[string]view{
		"databases": {columns: databaseColumns, rows: showDatabases},
		"pools":     {columns: poolColumns, rows: showPools},
		"clients":   {columns: socketColumns, rows: showClients},
		"servers":   {columns: socketColumns, rows: showServers},
		"sockets":   {columns: bufferColumns, rows: showSockets}, "active_sockets": {columns: bufferColumns, rows: showSockets},
		"stats":        {columns: statsColumns, rows: showStats},
		"stats_totals": {columns: statsTotalsColumns, rows: showStatsTotals}, "stats_averages": {columns: statsAveragesColumns, rows: showStatsAverages},
		"totals":    {columns: totalsColumns, rows: showTotals},
		"users":     {columns: userColumns, rows: showUsers},
		"lists":     {columns: listColumns, rows: showLists},
		"config":    {columns: columns(text, "key", "value", "default", "changeable"), rows: showConfig},
		"mem":       {columns: memColumns, rows: showMem},
		"dns_hosts": {columns: dnsHostColumns, rows: showNothing}, "dns_zones": {columns: dnsZoneColumns, rows: showNothing},
		"peers": {columns: peerColumns, rows: showNothing}, "peer_pools": {columns: peerPoolColumns, rows: showNothing},
		"fds":      {columns: fdColumns, admin: true, rows: showFDs},
		"version":  {columns: columns(text, "version"), rows: showVersion},
		"state":    {columns: columns(text, "key", "value"), rows: showState},
		"limits":   {columns: limitColumns, rows: showLimits},
		"classes":  {columns: classColumns, rows: showClasses},
		"pins":     {columns: pinColumns, rows: showPins},
		"events":   {columns: eventColumns, rows: showEvents},
		"queries":  {columns: queryColumns, rows: showQueries},
		"pressure": {columns: pressureColumns, rows: showPressure}, "incidents": {columns: incidentColumns, rows: showIncidents},
	}
}

// showNothing is of what the guard never has: it asks the system for names at each login and keeps none, and knows no peers of PgBouncer's kind.
func showNothing(*session) []row { return nil }
