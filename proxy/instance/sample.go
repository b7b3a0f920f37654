package instance

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/breaker"
	"pgguard/pool"
)

// SampleEvery is how often the server is asked what its sessions wait for. Once a second is enough to tell a lock from
// load, as what passes sooner is no trouble; and it costs the server less than a thousandth of a core.
const SampleEvery = time.Second

// sampleQuery reads what sessions that run something wait for. The function behind pg_stat_activity is asked, because the
// view joins two catalogues. What sessions of other roles wait for is NULL without pg_read_all_stats: then nothing is
// known to be blocked, and the law goes by its other signals.
//
// A commit that waits until another has written the log to disk for both (WALWrite) waits for the disk: it is how PostgreSQL commits many at once,
// and no sign of crowding, although what it waits at is a lock of the server's own.
//
// The start of the text comes with it: by the time that the answer is here a server may run another statement.
const sampleQuery = `select pid,
  case when wait_event_type OPERATOR(pg_catalog.=) 'LWLock' and wait_event OPERATOR(pg_catalog.=) 'WALWrite' then 'IO' else coalesce(wait_event_type, '') end,
  coalesce(application_name, ''), coalesce(pg_catalog.host(client_addr), ''),
  coalesce(pg_catalog.left(query, 1024), '')
  from pg_catalog.pg_stat_get_activity(null) where (state OPERATOR(pg_catalog.=) 'active' or application_name OPERATOR(pg_catalog.~~) '` + sideName + ` %')
  and backend_type OPERATOR(pg_catalog.=) 'client backend' and pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
  union all select 0, case when pg_catalog.pg_is_in_recovery() then '` + standby + `' else '' end, '', '', ''
  union all select -1, pg_catalog.count(*)::pg_catalog.text, '', '', '' from pg_catalog.pg_stat_get_activity(null)
    where backend_type OPERATOR(pg_catalog.=) 'client backend'`

// standby is what the row of no process has in the place of a wait if the server is one.
const standby = "standby"

// Seen is what the side channel saw.
type Seen struct {
	At      time.Time
	Blocked int     // of our statements, waiting for a lock
	Peers   int     // statements of other guards
	Foreign int     // statements of anybody else
	LWLock  float64 // share of ours that waited for one of the server's own locks
	// Blocks is how many of ours wait, in the end, for what a server of ours holds.
	Blocks map[*pool.Server]int
	// Culprit is the server that has held up most of them in the last three looks; nil: there is none.
	Culprit *pool.Server
	// Active is what ours that are active were at.
	Active map[*pool.Server]Activity
	// Waits counts ours by what they were at.
	Waits Waits
	// Stranger is who has most of the foreign statements.
	Stranger Party
	// Others is how many connections to the server neither this guard nor others hold, and Party who has most of them, where they are many.
	Others int
	Party  Party
	// Holder is the session for which most wait, in the end; nil: hardly anybody waits.
	Holder *Holder
	// Convoys are the statements of which only a few may run, because the others wait for a lock.
	Convoys []Convoy
	// RoundTrip is how long a question took that costs the server nothing.
	RoundTrip time.Duration
}

// Activity is what a server was seen at.
type Activity uint8

// The activities. The zero value is none: it was not active, or may not be seen.
const (
	ActiveUnseen    Activity = iota
	ActiveAtWork             // it runs, or waits for anything but its client
	ActiveForClient          // it waits for its client to send, or to read
)

// share turns what was counted into parts of the server.
func (s *Seen) share(running, lwlocks int) {
	s.Peers = min(s.Peers, s.Foreign)
	s.Foreign -= s.Peers
	if running > 0 {
		s.LWLock = float64(lwlocks) / float64(running)
	}
}

// Seen returns what the side channel saw last, nil if it has seen nothing yet. It is not to be changed.
func (in *Instance) Seen() *Seen { return in.last.Load() }

// sample looks once, over c.
func (in *Instance) sample(ctx context.Context, c *pgx.Conn) error {
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	n := count{asked: time.Now()}
	rows, err := c.Query(ctx, sampleQuery)
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	ours := in.servers()
	s := &Seen{At: time.Now(), Active: make(map[*pool.Server]Activity, len(ours))}
	var pid int32
	var waits, name, client, text string
	_, err = pgx.ForEachRow(rows, []any{&pid, &waits, &name, &client, &text}, func() error {
		b := ours[uint32(pid)]
		switch {
		case pid == 0:
			n.standby = waits == standby
		case pid < 0:
			n.all, _ = strconv.Atoi(waits)
		case b != nil:
			print := in.cfg().Prints.ran([]byte(text), b.Print())
			if works, blocked := n.own(s, b, waits, print); works {
				in.convoys.saw(print, blocked)
			}
		default:
			n.other(s, waits, name, client, pid)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	in.sawRole(ctx, c, n.standby)
	in.running = n.running
	s.share(n.running, s.Waits.LWLock)
	s.Stranger = n.most()
	s.Others = max(0, n.all-n.guards-len(ours)-1)
	if err := in.details(ctx, c, s, n.waiters, ours); err != nil {
		return err
	}
	s.Culprit = in.culprit(s)
	if err := in.nameConvoys(ctx, c, n.witness); err != nil {
		return err
	}
	s.Convoys = in.settleConvoys(s.At)
	in.last.Store(s)
	in.Pool.SetBlocked(s.Blocked, s.At)
	return nil
}

// details asks for what a sample alone does not show: who blocks whom, who has the connections, what statements are called, and how far away the
// server is. What is not the matter is not asked for.
func (in *Instance) details(ctx context.Context, c *pgx.Conn, s *Seen, waiters []int32, ours map[uint32]Server) (err error) {
	if err := in.blockers(ctx, c, s, waiters, ours); err != nil {
		return err
	}
	if 2*s.Others >= int(in.most.Load()) {
		if s.Party, err = in.party(ctx, c, ours); err != nil {
			return err
		}
	}
	if err := in.namePrints(ctx, c, ours); err != nil {
		return err
	}
	began := time.Now()
	if _, err := c.Exec(ctx, ""); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	s.RoundTrip = time.Since(began)
	return nil
}

// peerOf is how many servers another guard has and how many statements they run, as the name of its side channel says.
func peerOf(name string) (servers, running int) {
	had, runs, _ := strings.Cut(strings.TrimPrefix(name, sideName+" "), "/")
	return peers(had), peers(runs)
}

// peers is a number in the name of a side channel; 0: it says nothing that a guard would, whoever has it.
func peers(text string) int {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return int(n)
	}
	return 0
}

// pids are the numbers of the servers' processes.
func (in *Instance) pids() []int32 { return numbersOf(in.servers()) }

// servers returns the servers by the number of their process.
func (in *Instance) servers() map[uint32]Server {
	out := map[uint32]Server{}
	in.Pool.Each(func(c pool.Conn) {
		if b, ok := c.(Server); ok {
			out[b.PID()] = b
		}
	})
	return out
}

// answer runs a canary over *c, which is opened if it is nil and closed after an error, and tells the breaker.
func (in *Instance) answer(ctx context.Context, c **pgx.Conn, p breaker.Probe) {
	ctx, stop := context.WithDeadline(ctx, p.Deadline)
	defer stop()
	share := max(time.Millisecond, time.Until(p.Deadline)/time.Duration(len(in.Door().Upstream.Places()))) // each host has its turn
	var err error
	for tries := 2; tries > 0; tries-- { // the side channel may have been cut for itself
		if err = in.reach(ctx, c, share); err != nil {
			break
		}
		if _, err = (*c).Exec(ctx, ""); err == nil {
			break
		}
		in.hangUp(c)
	}
	in.mu.Lock()
	in.breaker.Canary(p.ID, err == nil || Answered(err))
	in.mu.Unlock()
}
