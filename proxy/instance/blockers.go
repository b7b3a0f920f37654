package instance

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"pgguard/pool"
	"pgguard/pool/event"
)

// leastBlocked is how many statements must wait for locks before it is looked who holds them: fewer are no trouble, and to look costs the
// server a moment in which it gives no locks.
const leastBlocked = 3

// blockersQuery says whom statements wait for: who holds what they need, and who waits for it before them; and whom those wait for, whoever
// they are, to the end.
const blockersQuery = `with recursive line(w, b) as (
  select w, b from pg_catalog.unnest($1::pg_catalog.int4[]) w, pg_catalog.unnest(pg_catalog.pg_blocking_pids(w)) b
  union select b, x from line, pg_catalog.unnest(pg_catalog.pg_blocking_pids(b)) x) select w, b from line`

// blockers counts who waits, in the end, for each of our servers, and finds the session for which most do, unless hardly anybody waits.
func (in *Instance) blockers(ctx context.Context, c *pgx.Conn, s *Seen, waiters []int32, ours map[uint32]Server) error {
	if len(waiters) < leastBlocked {
		return nil
	}
	rows, err := c.Query(ctx, blockersQuery, waiters)
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	before := make(map[int32][]int32, len(waiters))
	var waiter, blocker int32
	if _, err = pgx.ForEachRow(rows, []any{&waiter, &blocker}, func() error {
		before[waiter] = append(before[waiter], blocker)
		return nil
	}); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	s.Blocks = map[*pool.Server]int{}
	counts := roots(before)
	for pid, n := range counts {
		if b := ours[uint32(pid)]; b != nil {
			s.Blocks[b.Slot()] = n
		}
	}
	s.Holder, err = in.holder(ctx, c, before, counts, ours)
	return err
}

// roots counts for each who waits for nobody how many wait for him, directly or behind others. before has whom each waits for.
func roots(before map[int32][]int32) map[int32]int {
	count := map[int32]int{}
	for waiter := range before {
		seen := map[int32]bool{waiter: true}
		for todo := []int32{waiter}; len(todo) > 0; todo = todo[1:] {
			ahead, waits := before[todo[0]]
			if !waits {
				count[todo[0]]++
			}
			for _, pid := range ahead {
				if !seen[pid] {
					seen[pid] = true
					todo = append(todo, pid)
				}
			}
		}
	}
	return count
}

// culpritLooks is in how many looks running the same server must hold up most of those that wait.
const culpritLooks = 3

// jam follows who holds up most of those that wait. It belongs to the side channel's goroutine.
type jam struct {
	holder  *pool.Server
	looks   int
	blocked int // who waited when the holder was found to be the culprit
}

// culprit takes in what was seen, and returns who is the culprit by now, nil if nobody is. What has changed when a culprit is gone is told.
func (in *Instance) culprit(s *Seen) *pool.Server {
	var holder *pool.Server
	for b, n := range s.Blocks {
		if n >= leastBlocked && 2*n > s.Blocked {
			holder = b
		}
	}
	j := &in.jam
	if holder != j.holder {
		if j.looks >= culpritLooks {
			in.Explain(event.Event{Time: s.At, Kind: event.Reap, Subject: "locks", Cause: "culprit_gone",
				From: strconv.Itoa(j.blocked) + " wait", To: strconv.Itoa(s.Blocked) + " wait"})
		}
		*j = jam{holder: holder}
	}
	if holder == nil {
		return nil
	}
	if j.looks++; j.looks < culpritLooks {
		return nil
	}
	j.blocked = max(j.blocked, s.Blocked)
	return holder
}
