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
const sampleQuery = `select pid, coalesce(wait_event_type, ''), coalesce(application_name, '')
  from pg_catalog.pg_stat_get_activity(null) where (state = 'active' or application_name like '` + sideName + ` %')
  and backend_type = 'client backend' and pid <> pg_catalog.pg_backend_pid()
  union all select 0, case when pg_catalog.pg_is_in_recovery() then '` + standby + `' else '' end, ''`

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
	rows, err := c.Query(ctx, sampleQuery)
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	ours := in.servers()
	s := &Seen{At: time.Now(), Active: make(map[*pool.Server]Activity, len(ours))}
	lwlocks, running, isStandby := 0, 0, false
	var waiters []int32
	var witness map[uint16]int32 // of each statement some of which wait for a lock
	var pid int32
	var waits, name string
	_, err = pgx.ForEachRow(rows, []any{&pid, &waits, &name}, func() error {
		b := ours[uint32(pid)]
		switch {
		case pid == 0:
			isStandby = waits == standby
		case b == nil && strings.HasPrefix(name, sideName):
			s.Peers += runningOf(name)
		case b == nil:
			s.Foreign++
		case waits == "Client":
			s.Active[b.Slot()] = ActiveForClient
		default:
			running++
			s.Active[b.Slot()] = ActiveAtWork
			blocked := waits == "Lock"
			if blocked {
				s.Blocked++
				waiters = append(waiters, pid)
				if witness == nil {
					witness = map[uint16]int32{}
				}
				witness[b.Print()] = pid
				b.Blocked()
			}
			if waits == "LWLock" {
				lwlocks++
			}
			in.convoys.saw(b.Print(), blocked)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	in.sawRole(ctx, c, isStandby)
	in.running = running
	s.share(running, lwlocks)
	if s.Blocks, err = in.blockers(ctx, c, waiters, ours); err != nil {
		return err
	}
	s.Culprit = in.culprit(s)
	if err := in.nameConvoys(ctx, c, witness); err != nil {
		return err
	}
	in.last.Store(s)
	in.Pool.SetBlocked(s.Blocked, s.At)
	in.settleConvoys(s.At)
	return nil
}

// runningOf is how many statements the servers of another guard run, as the name of its side channel says.
func runningOf(name string) int {
	_, running, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(running)
	if err != nil {
		return 0
	}
	return n
}

// pids are the numbers of the servers' processes.
func (in *Instance) pids() []int32 {
	list := []int32{}
	for pid := range in.servers() {
		list = append(list, int32(pid))
	}
	return list
}

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
	var err error
	for tries := 2; tries > 0; tries-- { // the side channel may have been cut for itself
		if err = in.reach(ctx, c); err != nil {
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
