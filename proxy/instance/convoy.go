package instance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy/sql"
)

// A convoy is a statement most of whose instances wait for a lock at the same time: more of them finish nothing sooner,
// and take the tokens of others (pool/DESIGN.md, "Why these numbers").
const (
	convoyLeast   = 3    // instances; fewer are chance
	convoyShare   = 0.5  // of them blocked
	convoySamples = 2    // in a row
	convoyOver    = 0.25 // share blocked below which the bound rises by one a second
	convoyGone    = 16   // the bound above which there is none any more
)

// convoys finds them from samples. It belongs to the side channel's goroutine.
type convoys struct {
	running, blocked [pool.MaxPrints]uint16
	long             [pool.MaxPrints]uint8 // samples in a row that looked like one
	bound            [pool.MaxPrints]int   // that holds; 0: none
	called           map[uint16]string     // of those that are, or nearly were, convoys: what they are called in events
}

// saw notes one running statement of a sample.
func (c *convoys) saw(print uint16, blocked bool) {
	if print == 0 {
		return
	}
	c.running[print]++
	if blocked {
		c.blocked[print]++
	}
}

// nears is true for a statement that this sample makes a convoy, or one that is a convoy already, and has no name yet.
func (c *convoys) nears(print uint16) bool {
	running, blocked := int(c.running[print]), int(c.blocked[print])
	return print != 0 && c.called[print] == "" && running >= convoyLeast && float64(blocked) >= convoyShare*float64(running)
}

// call gives a statement a name for events.
func (c *convoys) call(print uint16, name string) {
	if c.called == nil {
		c.called = map[uint16]string{}
	}
	c.called[print] = name
}

// nameOf is what a statement is called in events.
func (c *convoys) nameOf(print uint16) string {
	if name := c.called[print]; name != "" {
		return name
	}
	return "a statement that cannot be read (number " + strconv.Itoa(int(print)) + ")"
}

// Convoy is one as a sample found it.
type Convoy struct {
	Print            uint16
	Called           string
	Bound            int // how many may run
	Running, Blocked int
}

// settleConvoys ends a sample: it bounds what is a convoy, and lets go of what was one. It returns those that there are.
func (in *Instance) settleConvoys(now time.Time) (found []Convoy) {
	c := &in.convoys
	for i := range c.running {
		running, blocked := int(c.running[i]), int(c.blocked[i])
		if running == 0 && c.bound[i] == 0 && c.long[i] == 0 {
			continue
		}

		c.running[i], c.blocked[i] = 0, 0
		bound := c.bound[i]
		switch share := float64(blocked) / float64(max(1, running)); {
		case running >= convoyLeast && share >= convoyShare:
			if c.long[i]++; c.long[i] >= convoySamples {
				c.long[i] = convoySamples
				bound = pool.ConvoyCap(running - blocked)
			}
		case bound > 0 && share < convoyOver:
			c.long[i] = 0
			if bound++; bound > convoyGone {
				bound = 0
			}
		default:
			c.long[i] = 0
		}
		if bound != c.bound[i] {
			in.bindConvoy(uint16(i), bound, running, blocked, now)
		}
		if bound > 0 {
			found = append(found, Convoy{Print: uint16(i), Called: c.called[uint16(i)], Bound: bound, Running: running, Blocked: blocked})
		}
	}
	return found
}

// bindConvoy changes the bound of one statement.
func (in *Instance) bindConvoy(print uint16, bound, running, blocked int, now time.Time) {
	c := &in.convoys
	before := c.bound[print]
	c.bound[print] = bound
	if before == 0 || bound == 0 { // in between it only follows
		_, name := in.cfg().Prints.Of(print)
		in.Explain(event.Event{
			Time: now, Kind: event.Print, Subject: c.nameOf(print), Query: name.Query, Cause: "lock_convoy",
			From: boundWord(before), To: boundWord(bound), Evidence: event.Of(
				event.Number{Name: "running", Value: float64(running)}, event.Number{Name: "blocked", Value: float64(blocked)},
			),
		})
	}
	if bound == 0 {
		delete(c.called, print)
	}
	in.Pool.SetConvoy(print, bound, now)
}

func boundWord(n int) string {
	if n == 0 {
		return "free"
	}
	return strconv.Itoa(n)
}

// calledQuery reads the text that a session runs, and its queryid, NULL where none is computed.
const calledQuery = `select query, query_id::pg_catalog.text from pg_catalog.pg_stat_get_activity($1) where state OPERATOR(pg_catalog.=) 'active'`

// nameConvoys finds out what those statements are called that are a convoy, or about to be one. witness is a session that runs each.
func (in *Instance) nameConvoys(ctx context.Context, c *pgx.Conn, witness map[uint16]int32) error {
	for print, pid := range witness {
		if !in.convoys.nears(print) {
			continue
		}
		var text, id *string
		err := c.QueryRow(ctx, calledQuery, pid).Scan(&text, &id)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && (text == nil || in.cfg().Prints.ran([]byte(*text), print) != print) {
			continue // it has ended; the next sample has another
		}
		if err != nil {
			return fmt.Errorf("sample: %w", err)
		}
		name := sql.Called([]byte(*text))
		switch {
		case id != nil && *id != "0" && name == "":
			name = "queryid " + *id
		case id != nil && *id != "0":
			name += ", queryid " + *id
		}
		in.convoys.call(print, name)
	}
	return nil
}
