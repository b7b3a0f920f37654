package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"

	"github.com/jackc/pgx/v5/pgproto3"
)

// clientStatements is how many named statements each client of the prepared part has: what an application of some size
// keeps on a connection.
const clientStatements = 100

// prepared measures the proxy's memory per client that has prepared clientStatements texts, the same in every client, and
// does nothing.
func (s Steady) prepared(ctx context.Context, e Env, r *report.Run) error {
	if len(e.PIDs) == 0 {
		return nil
	}
	cfg, err := load.ParseURL(e.URL, "prepared")
	if err != nil {
		return err
	}
	without, err := load.ReadProcess(e.PIDs...)
	if err != nil {
		return err
	}
	conns := make([]*load.Conn, s.Prepared)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	err = sideBySide(ctx, len(conns), func(i int) (err error) {
		conns[i], err = load.Dial(ctx, cfg, time.Now().Add(goWait))
		return err
	})
	if err != nil {
		return err
	}
	idle, err := s.settled(ctx, e)
	if err != nil {
		return err
	}
	err = sideBySide(ctx, len(conns), func(i int) error {
		_, err := conns[i].Pipeline(preparing(), time.Now().Add(goWait))
		return err
	})
	if err != nil {
		return err
	}
	full, err := s.settled(ctx, e)
	if err != nil {
		return err
	}
	each := func(a, b load.Process) float64 { return (mib(b) - mib(a)) * 1024 / float64(len(conns)) }
	label := fmt.Sprintf("%d clients: ", s.Prepared)
	r.Add(label+"memory per client", "KiB", each(without, idle))
	r.Add(fmt.Sprintf("%smemory per client with %d statements", label, clientStatements), "KiB", each(without, full))
	r.Add(label+"memory with the statements", "MiB", mib(full))
	return nil
}

// preparing is the messages that prepare a client's statements.
func preparing() []pgproto3.FrontendMessage {
	var out []pgproto3.FrontendMessage
	for i := range clientStatements {
		out = append(out, &pgproto3.Parse{Name: fmt.Sprintf("a%d", i+1), Query: railsText(i)})
	}
	return append(out, &pgproto3.Sync{})
}

// settled waits for the proxy's buffers and garbage and looks at it.
func (s Steady) settled(ctx context.Context, e Env) (load.Process, error) {
	if !load.Sleep(ctx, s.Settle) {
		return load.Process{}, ctx.Err()
	}
	return load.ReadProcess(e.PIDs...)
}

// sideBySide does n things, idleParallel at a time, until one fails, and returns the first error.
func sideBySide(ctx context.Context, n int, do func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turns := make(chan int)
	var wg sync.WaitGroup
	for range min(idleParallel, n) {
		wg.Go(func() {
			for i := range turns {
				if err := do(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case turns <- i:
		case <-ctx.Done():
		}
	}
	close(turns)
	wg.Wait()
	return context.Cause(ctx)
}
