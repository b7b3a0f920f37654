package scenario

import (
	"context"
	"time"

	"pgguard/bench/load"
)

// manner is how clients that are not kind behave: they wait for deadline, connecting included, close their socket on it
// and try again at once; after an error they wait for pause. Each try counts by itself.
type manner struct {
	class           *load.Class
	deadline, pause time.Duration
	// step, when not nil, hears of every statement: its place in the work, and what came of it.
	step func(i int, err error)
	// hear, when not nil, hears of every try, as the class does.
	hear func(work []string, intended, finished time.Time, err error)
}

// note counts a try.
func (m manner) note(work []string, intended, finished time.Time, err error) {
	m.class.Note(intended, finished, err)
	if m.hear != nil {
		m.hear(work, intended, finished, err)
	}
}

// insist does one piece of work, statement by statement, and tries until it succeeds or ctx ends.
func (m manner) insist(ctx context.Context, client *load.Client, work []string) {
	for ctx.Err() == nil {
		intended := time.Now()
		err := m.try(ctx, client, work, intended.Add(m.deadline))
		if err != nil && ctx.Err() != nil {
			return // the client was ended, which is nobody's failure
		}
		m.note(work, intended, time.Now(), err)
		if err == nil {
			return
		}
		if label := load.Label(err); label == load.Timeout || label == load.ConnectTimeout {
			continue
		}
		m.rollBack(ctx, client)
		load.Sleep(ctx, m.pause)
	}
}

// try does the work once, by the deadline.
func (m manner) try(ctx context.Context, client *load.Client, work []string, deadline time.Time) error {
	for i, sql := range work {
		_, err := client.Exec(ctx, sql, deadline)
		if m.step != nil && ctx.Err() == nil {
			m.step(i, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rollBack ends a transaction that an error has left open.
func (m manner) rollBack(ctx context.Context, client *load.Client) {
	if client.InTransaction() {
		// The answer changes nothing: the try has failed, and a lost connection is noticed at the next.
		_, _ = client.Exec(ctx, "ROLLBACK", time.Now().Add(m.deadline))
	}
}
