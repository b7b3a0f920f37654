package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgguard/pool/event"
	"pgguard/pool/sorting"
	"pgguard/proxy"
)

var limitColumns = slices.Concat(columns(text, "instance"), columns(int4, "limit", "running", "in_gap", "blocked", "waiting", "max_servers", "servers", "idle_allowance", "parked"),
	columns(text, "breaker"), columns(int8, "limit_changes"), columns(text, "up", "last_error"))

// showLimits shows how many statements run on each PostgreSQL and may, and how many servers there are and may be.
func showLimits(s *session) []row {
	var rows []row
	for _, p := range s.guard.Stats().Pools {
		waiting, servers := 0, 0
		for _, c := range p.Classes {
			waiting += c.Waiting
		}
		for _, n := range p.Servers {
			servers += n
		}
		var down any
		if err := cmp.Or(p.Down, p.Blind); err != nil {
			down = err.Error()
		}
		rows = append(rows, row{
			p.Name, p.Limit, p.Running, p.InGap, p.Blocked, waiting, p.Cap, servers, p.Allowance, p.Parked, p.Breaker, p.Changes, yesNo(p.Up), down,
		})
	}
	sortRows(rows)
	return rows
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

var classColumns = slices.Concat(columns(text, "instance", "class"), columns(int4, "waiting"), columns(int8, "oldest_us"), columns(int4, "slots"), columns(text, "overloaded"),
	columns(int8, "queries", "refused"))

// showClasses shows who waits, by class. Queries and refusals are those of a class at all instances.
func showClasses(s *session) []row {
	st := s.guard.Stats()
	refused := map[string]uint64{}
	for k, n := range st.Refusals {
		refused[k.Class] += n
	}
	var rows []row
	for _, p := range st.Pools {
		for _, c := range p.Classes {
			rows = append(rows, row{p.Name, c.Name, c.Waiting, int64(c.Oldest / time.Microsecond), c.Slots, yesNo(c.Pace.Overloaded), st.Queries[c.Name], refused[c.Name]})
		}
	}
	sortRows(rows)
	return rows
}

var pinColumns = slices.Concat(columns(int4, "client_id"), columns(text, "database", "user", "application_name", "addr", "reasons", "since"), columns(int8, "seconds"),
	columns(int4, "server_id"))

// showPins shows the clients that keep a server between transactions, and why, the longest first.
func showPins(s *session) []row {
	now, port := time.Now(), portOf(s.guard)
	pinned := s.guard.ClientList()
	pinned = slices.DeleteFunc(pinned, func(c proxy.ClientInfo) bool { return c.Pins == "" })
	sorting.By(pinned, func(a, b proxy.ClientInfo) int { return a.Pinned.Compare(b.Pinned) })
	var rows []row
	for _, c := range pinned {
		host, _ := address(c.Conn.Remote, port)
		rows = append(rows, row{c.ID, c.Database, c.User, c.ApplicationName, host, c.Pins, moment(c.Pinned), int64(now.Sub(c.Pinned) / time.Second), c.Server})
	}
	return rows
}

var queryColumns = slices.Concat(columns(text, "instance", "fingerprint", "statement"), columns(int8, "calls", "total_time_us", "avg_time_us", "wait_time_us", "blocked_calls", "blocked_time_us"), columns(text, "query"))

// mostQueries is how many kinds of statements SHOW QUERIES shows by each of its measures.
const mostQueries = 20

// showQueries shows the kinds of statements that have taken most time, waited most before they ran, or met most locks, the longest first. A
// statement is called by its first words; its text, without what users typed, is there where texts may be shown.
func showQueries(s *session) []row {
	var rows []row
	for name, prints := range s.guard.Statements() {
		for _, p := range topQueries(prints) {
			rows = append(rows, row{
				name, fmt.Sprintf("%016x", p.Fingerprint), p.Called, p.Calls, int64(micros(p.Took)), int64(micros(p.Took / time.Duration(max(1, p.Calls)))),
				int64(micros(p.Waited)), p.Blocked, int64(micros(p.BlockedTook)), p.Query,
			})
		}
	}
	sortRows(rows)
	return rows
}

// topQueries are the first by each measure, by the time they have taken.
func topQueries(prints []proxy.Print) []proxy.Print {
	chosen := map[uint16]bool{}
	by := func(measure func(p *proxy.Print) time.Duration) {
		sorting.By(prints, func(a, b proxy.Print) int { return cmp.Compare(measure(&b), measure(&a)) })
		for i := range prints[:min(len(prints), mostQueries)] {
			if measure(&prints[i]) > 0 {
				chosen[prints[i].Index] = true
			}
		}
	}
	by(func(p *proxy.Print) time.Duration { return p.BlockedTook })
	by(func(p *proxy.Print) time.Duration { return p.Waited })
	by(func(p *proxy.Print) time.Duration { return p.Took })
	return slices.DeleteFunc(prints, func(p proxy.Print) bool { return !chosen[p.Index] })
}

var eventColumns = slices.Concat(columns(int8, "seq"), columns(text, "time", "kind", "subject", "cause", "from", "to", "mode", "by", "evidence"))

// showEvents shows what the guard has decided, the last first.
func showEvents(s *session) []row {
	events, _ := s.guard.Events(0)
	sorting.By(events, func(a, b event.Event) int { return cmp.Compare(b.Seq, a.Seq) })
	var rows []row
	for i := range events {
		e := &events[i]
		rows = append(rows, row{
			e.Seq, instant(e.Time), string(e.Kind), e.Subject, e.Cause, e.From, e.To, string(e.Mode), e.By, evidence(&e.Evidence),
		})
	}
	return rows
}

// evidence is a line of names and numbers.
func evidence(e *event.Evidence) string {
	parts := make([]string, e.Len())
	for i := range parts {
		n := e.At(i)
		parts[i] = fmt.Sprintf("%s=%.4g", n.Name, n.Value)
	}
	return strings.Join(parts, " ")
}
