package instance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Waits counts statements by what they were at.
type Waits struct{ CPU, Lock, LWLock, IO, Client, Other int }

// add counts one that waits for this type of event; none is that it works.
func (w *Waits) add(event string) {
	switch event {
	case "":
		w.CPU++
	case "Lock":
		w.Lock++
	case "LWLock", "BufferPin":
		w.LWLock++
	case "IO":
		w.IO++
	default:
		w.Other++
	}
}

// Party is who has most of something. Its names are text of strangers.
type Party struct {
	Application, Client string
	Count               int
	PID                 int32
}

// maxStrangers is how many strangers a sample tells apart.
const maxStrangers = 64

// count is what a sample counts.
type count struct {
	asked       time.Time
	all, guards int // connections; those of other guards
	strangers   map[[2]string]Party
	running     int // of our servers
	standby     bool
	waiters     []int32
	witness     map[uint16]int32 // of each statement some of which wait for a lock
}

// own counts one of our servers that is active, and says whether it is at work, which it is not while it waits for its client, and whether it
// waits for a lock. print is the number of the statement that it was seen at.
func (n *count) own(s *Seen, b Server, waits string, print uint16) (works, blocked bool) {
	if waits == "Client" {
		s.Active[b.Slot()] = ActiveForClient
		s.Waits.Client++
		return false, false
	}
	n.running++
	s.Active[b.Slot()] = ActiveAtWork
	s.Waits.add(waits)
	if waits != "Lock" {
		return true, false
	}
	s.Blocked++
	pid := int32(b.PID())
	n.waiters = append(n.waiters, pid)
	if n.witness == nil {
		n.witness = map[uint16]int32{}
	}
	n.witness[print] = pid
	b.Blocked(n.asked)
	return true, true
}

// other counts the side channel of another guard, or a statement of anybody else's that takes something: one that sleeps, or waits for a lock or its client, does not.
func (n *count) other(s *Seen, waits, application, client string, pid int32) {
	if strings.HasPrefix(application, sideName) {
		servers, running := peerOf(application)
		s.Peers += running
		n.guards += servers + 1
		return
	}
	if waits == "Client" || waits == "Lock" || waits == "Timeout" {
		return
	}
	s.Foreign++
	n.stranger(application, client, pid)
}

// stranger notes a statement of somebody else's.
func (n *count) stranger(application, client string, pid int32) {
	key := [2]string{application, client}
	p, known := n.strangers[key]
	if !known && len(n.strangers) >= maxStrangers {
		return
	}
	if n.strangers == nil {
		n.strangers = map[[2]string]Party{}
	}
	n.strangers[key] = Party{Application: application, Client: client, Count: p.Count + 1, PID: pid}
}

// most is who has most of them.
func (n *count) most() (most Party) {
	for _, p := range n.strangers {
		if p.Count > most.Count || p.Count == most.Count && p.PID < most.PID {
			most = p
		}
	}
	return most
}

// partyQuery says who has most of the connections that are not ours.
const partyQuery = `select coalesce(application_name, ''), coalesce(pg_catalog.host(client_addr), ''), pg_catalog.count(*)::pg_catalog.int4, pg_catalog.min(pid)
  from pg_catalog.pg_stat_get_activity(null) where backend_type OPERATOR(pg_catalog.=) 'client backend' and pid OPERATOR(pg_catalog.<>) all ($1::pg_catalog.int4[])
    and application_name OPERATOR(pg_catalog.!~~) '` + sideName + `%'
  group by 1, 2 order by 3 desc, 1, 2 limit 1`

// party asks who has most of the connections that are not ours.
func (in *Instance) party(ctx context.Context, c *pgx.Conn, ours map[uint32]Server) (p Party, err error) {
	rows, err := c.Query(ctx, partyQuery, numbersOf(ours))
	if err != nil {
		return p, fmt.Errorf("sample: %w", err)
	}
	_, err = pgx.ForEachRow(rows, []any{&p.Application, &p.Client, &p.Count, &p.PID}, func() error { return nil })
	if err != nil {
		return p, fmt.Errorf("sample: %w", err)
	}
	return p, nil
}

// printsAtOnce is how many texts are read in one look for what their statements are called.
const printsAtOnce = 8

// textsQuery reads what sessions run, or ran last.
const textsQuery = `select query from pg_catalog.pg_stat_get_activity(null) where pid OPERATOR(pg_catalog.=) any ($1::pg_catalog.int4[]) and query is not null`

// namePrints finds out what statements are called that nobody has read the text of yet. A text is known by its fingerprint, so that it does not
// matter whether the session still runs the statement. Those longer than PostgreSQL shows (track_activity_query_size) have no name.
func (in *Instance) namePrints(ctx context.Context, c *pgx.Conn, ours map[uint32]Server) error {
	var pids []int32
	for pid, b := range ours {
		if print := b.Print(); print != 0 && !in.cfg().Prints.Named(print) {
			if pids = append(pids, int32(pid)); len(pids) == printsAtOnce {
				break
			}
		}
	}
	if len(pids) == 0 {
		return nil
	}
	rows, err := c.Query(ctx, textsQuery, pids)
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	var text string
	if _, err = pgx.ForEachRow(rows, []any{&text}, func() error { in.cfg().Prints.Call([]byte(text), in.cfg().ShowQueries); return nil }); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	return nil
}

// numbersOf are the numbers of the processes of servers.
func numbersOf(servers map[uint32]Server) []int32 {
	list := make([]int32, 0, len(servers))
	for pid := range servers {
		list = append(list, int32(pid))
	}
	return list
}
