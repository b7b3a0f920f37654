package instance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Holder is a session at the end of the line of those that wait for locks. Its names are text of strangers.
type Holder struct {
	PID                 int32  // 0: it is a prepared transaction, which has no session
	Server              Server // nil: it is none of ours
	Application, Client string
	Idle                bool          // its transaction does nothing
	Held                time.Duration // for how long it does what it does
	Named                             // what it runs, or ran last
	Blocks              int           // how many wait for it, in the end
	// Through is who stands in between: for whom most of them wait directly, and who waits for the holder to lock a whole table; nil: nobody.
	Through *Holder

	waitsFor string
}

// ofAutovacuum is before what its workers say that they run.
const ofAutovacuum = "autovacuum: "

// holderQuery says what sessions do. One of the server's own, such as autovacuum, is called by what it is.
const holderQuery = `select pid, case when backend_type OPERATOR(pg_catalog.<>) 'client backend' and coalesce(application_name, '') OPERATOR(pg_catalog.=) '' then backend_type
    else coalesce(application_name, '') end,
  coalesce(pg_catalog.host(client_addr), ''), coalesce(state, ''), coalesce(wait_event, ''),
  coalesce(extract(epoch from pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) case when state OPERATOR(pg_catalog.~~) 'idle%' then state_change else query_start end), 0)
    ::pg_catalog.float8, coalesce(query, '')
  from pg_catalog.pg_stat_get_activity(null) where pid OPERATOR(pg_catalog.=) any ($1::pg_catalog.int4[])`

// holder finds the session for which most of those wait that were asked about.
func (in *Instance) holder(ctx context.Context, c *pgx.Conn, before map[int32][]int32, counts map[int32]int, ours map[uint32]Server) (*Holder, error) {
	first, between := ends(before, counts)
	rows, err := c.Query(ctx, holderQuery, []int32{first, between})
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	found := map[int32]*Holder{}
	var h Holder
	var state, text string
	var held float64
	_, err = pgx.ForEachRow(rows, []any{&h.PID, &h.Application, &h.Client, &state, &h.waitsFor, &held, &text}, func() error {
		one := h
		one.Idle, one.Held = strings.HasPrefix(state, "idle"), time.Duration(held*float64(time.Second))
		one.Named, one.Server = nameOf([]byte(strings.TrimPrefix(text, ofAutovacuum)), in.cfg().ShowQueries), ours[uint32(one.PID)]
		found[one.PID] = &one
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	out := found[first]
	if out == nil && first == 0 && counts[first] > 0 {
		if out, err = prepared(ctx, c); err != nil {
			return nil, err
		}
	}
	if out == nil { // it has just ended
		return nil, nil
	}
	out.Blocks = counts[first]
	if t := found[between]; t != nil && t.waitsFor == "relation" {
		t.Blocks = out.Blocks - 1
		out.Through = t
	}
	return out, nil
}

// preparedQuery says for how long there has been a prepared transaction: the view would join catalogues.
const preparedQuery = `select coalesce(extract(epoch from pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.min(prepared)), 0)::pg_catalog.float8
  from pg_catalog.pg_prepared_xact()`

// prepared is a prepared transaction that others wait for, taken to be the oldest.
func prepared(ctx context.Context, c *pgx.Conn) (*Holder, error) {
	var held float64
	if err := c.QueryRow(ctx, preparedQuery).Scan(&held); err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	return &Holder{Idle: true, Held: time.Duration(held * float64(time.Second))}, nil
}

// ends returns for whom most wait, in the end, and for whom most of the others wait directly who waits himself; 0: nobody.
func ends(before map[int32][]int32, counts map[int32]int) (first, between int32) {
	for pid, n := range counts {
		if n > counts[first] || n == counts[first] && pid < first {
			first = pid
		}
	}
	direct := map[int32]int{}
	for _, ahead := range before {
		for _, pid := range ahead {
			if _, waits := before[pid]; waits {
				direct[pid]++
			}
		}
	}
	for pid, n := range direct {
		if n > direct[between] || n == direct[between] && pid < between {
			between = pid
		}
	}
	return first, between
}
