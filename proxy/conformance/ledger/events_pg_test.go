//go:build pg

package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// clientsOf lists a few servers' processes: any, or those that do something first. A transaction that has done nothing for long is
// left to the guards.
const clientsOf = `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
	and not (state = 'idle in transaction' and state_change < now() - interval '1 s')
	order by (state <> 'idle') and %t desc, random() limit 3`

// disturb does harm to PostgreSQL until the end.
func (r *round) disturb(ctx context.Context, rnd *rand.Rand, end time.Time) error {
	begin, length := time.Now(), time.Until(end)
	at := func(part float64) time.Time { return begin.Add(time.Duration(part * float64(length))) }
	once := []struct {
		at time.Time
		do func() error
	}{
		{at(0.06), func() error { return r.crash(ctx, rnd) }},
		{at(0.12), func() error { return r.restart(rnd, length) }},
		{at(0.12), func() error { r.still.Store(true); return nil }}, // a transaction that does nothing may be reaped now
		{at(0.85), func() error { r.still.Store(false); return nil }},
		{at(0.9), func() error { return r.crash(ctx, rnd) }},
		{at(0.95), func() error { return r.closeOne(ctx, rnd) }},
	}
	for now := begin; now.Before(end); now = time.Now() {
		var err error
		if len(once) > 0 && now.After(once[0].at) {
			err = once[0].do()
			once = once[1:]
		} else {
			err = r.blow(ctx, rnd)
		}
		if err != nil {
			return err
		}
		time.Sleep(min(time.Until(end), time.Duration(rnd.IntN(200))*time.Millisecond)) // between two blows
	}
	return nil
}

// blow does one of the lesser harms.
func (r *round) blow(ctx context.Context, rnd *rand.Rand) error {
	switch n := rnd.IntN(24); {
	case n < 2:
		return r.stall(ctx, rnd)
	case n < 9:
		r.cut(rnd)
		return nil
	default:
		return r.terminate(ctx, rnd)
	}
}

// cut breaks the connections of some guards to PostgreSQL, after it has kept back for a moment what goes either way: what was
// committed meanwhile is not told.
func (r *round) cut(rnd *rand.Rand) {
	r.count("event: connections cut")
	r.tap.Stall(true)
	time.Sleep(time.Duration(rnd.IntN(40)) * time.Millisecond)
	r.tap.Cut()
	r.tap.Stall(false)
}

// victim is the process of a server, 0 if there is none. The connection, if there is one, is the caller's to close.
func (r *round) victim(ctx context.Context, rnd *rand.Rand) (conn *pgconn.PgConn, pid int, err error) {
	if conn, err = r.admin(ctx); err != nil {
		return nil, 0, err
	}
	list, err := rows(ctx, conn, fmt.Sprintf(clientsOf, rnd.IntN(2) == 0))
	if err != nil || len(list) == 0 {
		return conn, 0, err
	}
	pid, err = strconv.Atoi(list[rnd.IntN(len(list))][0])
	return conn, pid, err
}

// terminate tells a server to go.
func (r *round) terminate(ctx context.Context, rnd *rand.Rand) error {
	conn, n, err := r.victim(ctx, rnd)
	if conn != nil {
		defer func() { _ = conn.Close(ctx) }()
	}
	if err != nil || n == 0 {
		return err
	}
	r.count("event: server terminated")
	_, err = rows(ctx, conn, fmt.Sprintf("select pg_terminate_backend(%d)", n))
	return err
}

// stall halts a server for a moment.
func (r *round) stall(ctx context.Context, rnd *rand.Rand) error {
	conn, n, err := r.victim(ctx, rnd)
	if conn != nil {
		defer func() { _ = conn.Close(ctx) }()
	}
	if err != nil || n == 0 {
		return err
	}
	r.count("event: server halted")
	if err := syscall.Kill(n, syscall.SIGSTOP); err != nil {
		return nil // it has just ended
	}
	time.Sleep(time.Duration(rnd.IntN(600)) * time.Millisecond)
	_ = syscall.Kill(n, syscall.SIGCONT) // nor can it be helped if it ends now
	return nil
}

// crash kills a server, so that PostgreSQL restarts all, and waits until it is back.
func (r *round) crash(ctx context.Context, rnd *rand.Rand) error {
	conn, n, err := r.victim(ctx, rnd)
	if conn != nil {
		defer func() { _ = conn.Close(ctx) }()
	}
	if err != nil || n == 0 {
		return err
	}
	if err := syscall.Kill(n, syscall.SIGKILL); errors.Is(err, syscall.ESRCH) {
		return nil // it has just ended
	} else if err != nil {
		return fmt.Errorf("kill server %d: %w", n, err)
	}
	r.count("event: server killed")
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // between two looks at a condition
		if _, err = conn.Exec(ctx, "select 1").ReadAll(); err != nil { // it has crashed indeed
			break
		}
		if time.Now().After(limit) {
			return fmt.Errorf("PostgreSQL has not noticed the death of server %d", n)
		}
	}
	return r.back(ctx)
}

// back waits until PostgreSQL takes connections.
func (r *round) back(ctx context.Context) error {
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // between two looks at a condition
		conn, err := r.admin(ctx)
		if err == nil {
			return conn.Close(ctx)
		}
		if time.Now().After(limit) {
			return fmt.Errorf("PostgreSQL does not come back: %w", err)
		}
	}
}

// restart restarts PostgreSQL; in long rounds it is away so long, now and then, that the guards notice.
func (r *round) restart(rnd *rand.Rand, length time.Duration) error {
	mode := []string{"fast", "immediate"}[rnd.IntN(2)]
	r.count("event: restart, " + mode)
	if err := r.cluster.Shutdown(mode); err != nil {
		return err
	}
	away := time.Duration(rnd.IntN(500)) * time.Millisecond
	if length > 25*time.Second && rnd.IntN(4) == 0 {
		away = 8 * time.Second
	}
	time.Sleep(away)
	return r.cluster.StartAgain()
}

// closeOne ends a guard under its clients, at once or in good order.
func (r *round) closeOne(ctx context.Context, rnd *rand.Rand) error {
	d := r.doors[rnd.IntN(len(r.doors))]
	if d.guard == nil {
		return nil
	}
	if rnd.IntN(2) == 0 {
		r.count("event: guard closed, " + d.name)
		return d.within(func() { _ = d.guard.Close() })
	}
	r.count("event: guard shut down, " + d.name)
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	return d.within(func() { _ = d.guard.Shutdown(ctx) }) // closes when its time is over, which is no fault
}
