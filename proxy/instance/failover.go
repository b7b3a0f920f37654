package instance

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/breaker"
	"pgguard/pool"
	"pgguard/pool/event"
)

// How old the knowledge of who answers may be when there is a sign that another does: the side channel then dials anew, at once or as soon as
// it is so old. A login to the server costs it some milliseconds of CPU, which is what bounds these from below.
const (
	doubtLost     = time.Second     // a server was lost
	doubtReadOnly = 2 * time.Second // a client was told 25006
	doubtDialed   = 5 * time.Second // a server was logged in to that is elsewhere
	resolveEvery  = 5 * time.Second // the upstream's name is looked up
)

// answerer is who answers at an instance's address.
type answerer struct {
	breaker.Identity
	started string // when its postmaster was started, in its own words: a restart or another machine changes it
}

// answererQuery asks who answers. The timeline is that of the write-ahead log that is written: pg_control has it only after the checkpoint that
// follows a promotion. That of a standby says nothing: it is 0.
const answererQuery = `select s.system_identifier::pg_catalog.text, pg_catalog.pg_is_in_recovery(), pg_catalog.pg_postmaster_start_time()::pg_catalog.text,
	case when pg_catalog.pg_is_in_recovery() then 0
	else pg_catalog.concat('x', pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::pg_catalog.bit(32)::pg_catalog.int8 end
	from pg_catalog.pg_control_system() s`

// Doubt has the side channel look who answers, if what is known of that is older than age, because there is a sign that it is not true any more. It
// never blocks.
func (in *Instance) Doubt(age time.Duration) {
	if in.now()-time.Duration(in.identified.Load()) < age {
		in.later.Store(int64(age)) // at the next look, if it is old enough then
		return
	}
	select {
	case in.doubts <- struct{}{}:
	default: // it is about to
	}
}

// TurnedAway notes that a client was told that the server takes no writes (25006).
func (in *Instance) TurnedAway() { in.Doubt(doubtReadOnly) }

// now is the time since the instance was made, by a clock that nobody sets.
func (in *Instance) now() time.Duration { return time.Since(in.made) }

// doubtful is true if a sign was seen too early to be followed then, and it is time now.
func (in *Instance) doubtful() bool {
	age := time.Duration(in.later.Load())
	if age == 0 || in.now()-time.Duration(in.identified.Load()) < age {
		return false
	}
	in.later.Store(0)
	return true
}

// anewLimit bounds how long one address may take when the side channel dials for the sake of looking who answers, during which it does nothing
// else.
const anewLimit = 2 * time.Second

// dialAnew opens another side channel in the place of *c and looks who answers there. If that fails *c stays.
func (in *Instance) dialAnew(ctx context.Context, c **pgx.Conn) error {
	var fresh *pgx.Conn
	if err := in.reach(ctx, &fresh, anewLimit); err != nil {
		in.later.Store(int64(doubtLost))
		return err
	}
	in.hangUp(c)
	*c = fresh
	return nil
}

// follow looks over c who answers, c having been dialled at the time given.
func (in *Instance) follow(ctx context.Context, c *pgx.Conn, dialed time.Time) {
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	defer in.gather()
	in.identified.Store(int64(in.now()))
	var now answerer
	var timeline int64
	if err := c.QueryRow(ctx, answererQuery).Scan(&now.System, &now.InRecovery, &now.started, &timeline); err != nil {
		return // it may not be asked, or is none of PostgreSQL's: a failover is an outage like others then
	}
	now.Timeline = uint32(timeline)
	was, since := in.answerer, in.confirmed
	in.answerer, in.confirmed = now, dialed
	if !was.Changed(now.Identity) {
		return
	}
	in.era.Add(1) // servers report something else now
	old, known := map[uint32]bool(nil), error(nil)
	if now.started != was.started {
		if old, known = pidsOf(ctx, c); known != nil {
			old = map[uint32]bool{}
		}
	}
	retired, cut := in.retireOld(was, now, since, old)
	in.Explain(event.Event{
		Time: time.Now(), Kind: event.Server, Cause: "failover", From: roleOf(was.Identity), To: roleOf(now.Identity), Evidence: event.Of(
			event.Number{Name: "timeline_before", Value: float64(was.Timeline)}, event.Number{Name: "timeline", Value: float64(now.Timeline)},
			event.Number{Name: "servers_retired", Value: float64(retired)}, event.Number{Name: "servers_cut", Value: float64(cut)},
		),
	})
	in.Pool.SetLimit(in.law())
}

// gather retires the servers that are at another address than the side channel: all are at the same PostgreSQL.
func (in *Instance) gather() {
	here := in.Door().Current().String()
	n := in.Pool.Retire(time.Now(), "the upstream is at another host", func(s *pool.Server) bool {
		b, ok := s.Conn.(Server)
		return ok && b.At() != here
	})
	if n > 0 || in.here != here {
		in.cfg().Log.Info("the upstream is at this host", "upstream", in.Name(), "address", here, "servers_retired", n)
	}
	if in.here != "" && in.here != here {
		in.era.Add(1) // servers may report something else there
	}
	in.here = here
}

// strayed has the side channel look where the upstream is if a server has been logged in to elsewhere: the host where it was did not let it in.
func (in *Instance) strayed(at string) {
	if here := in.Door().Current().String(); here != "" && at != here {
		in.Doubt(doubtLost)
	}
}

// retireOld retires the servers of before a failover. Those at another PostgreSQL than the primary that answers now are cut off at once,
// so that it acknowledges nothing any more, but for those that can only read there. present are the processes of the one that answers now; nil: it is
// the same as before, in another role. since is when it was last confirmed that the old one answered.
func (in *Instance) retireOld(was, now answerer, since time.Time, present map[uint32]bool) (retired, cut int) {
	at, here := time.Now(), in.Door().Current().String()
	in.SentOff(at)
	var off []Server
	retired = in.Pool.Retire(at, "failover", func(s *pool.Server) bool {
		b, ok := s.Conn.(Server)
		if !ok {
			return true // it is being opened: nobody knows where
		}
		if present[b.PID()] && b.At() == here && s.Opened().After(since) {
			return false
		}
		if present != nil && !now.InRecovery && !b.ReadOnly() {
			off = append(off, b)
		}
		return true
	})
	for _, b := range off {
		b.Cut("failover")
	}
	return retired, len(off)
}

// pidsOf are the processes of the PostgreSQL at the other end of c.
func pidsOf(ctx context.Context, c *pgx.Conn) (map[uint32]bool, error) {
	rows, err := c.Query(ctx, "select pid from pg_catalog.pg_stat_get_activity(null)")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	out := map[uint32]bool{}
	var pid int32
	_, err = pgx.ForEachRow(rows, []any{&pid}, func() error { out[uint32(pid)] = true; return nil })
	return out, err
}

// sawRole looks who answers over c if that is in another role than it was.
func (in *Instance) sawRole(ctx context.Context, c *pgx.Conn, isStandby bool) {
	if in.answerer.Known() && isStandby != in.answerer.InRecovery {
		in.follow(ctx, c, time.Now())
		listen(ctx, c) // a standby could not
	}
}

// divided is true if a server has been logged in to since it was asked last, and one is not at the PostgreSQL at the other end of c.
func (in *Instance) divided(ctx context.Context, c *pgx.Conn) bool {
	if !in.entered.Load() || in.now()-time.Duration(in.identified.Load()) < doubtDialed {
		return false
	}
	in.entered.Store(false)
	ours := in.servers()
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	present, err := pidsOf(ctx, c)
	if err != nil {
		return false // whoever looks next meets it, too
	}
	for pid := range ours {
		if !present[pid] {
			return true
		}
	}
	return false
}

// readdressed is true if the name of the host at the other end of the side channel does not mean its address any more.
func (in *Instance) readdressed(ctx context.Context) bool {
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	return in.Door().Moved(ctx)
}

func roleOf(i breaker.Identity) string {
	if i.InRecovery {
		return "standby"
	}
	return "primary"
}
