package scenario

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"

	"github.com/jackc/pgx/v5/pgproto3"
)

// textClients send the texts side by side.
const textClients = 8

// textBatch is how many texts go into one pipeline: fewer measure round trips, more need larger buffers than real clients
// cause.
const textBatch = 60

// texts sends Steady.Texts statements that were never sent before and looks at what they leave in the proxy's memory. A third
// is prepared by name, used and closed, a third is unnamed and sent twice, a third is simple.
func (s Steady) texts(ctx context.Context, e Env, r *report.Run) error {
	if len(e.PIDs) == 0 {
		return nil
	}
	cfg, err := load.ParseURL(e.URL, "texts")
	if err != nil {
		return err
	}
	before, err := load.ReadProcess(e.PIDs...)
	if err != nil {
		return err
	}
	began := time.Now()
	var sent atomic.Int64
	most := make(chan float64)
	watching, stop := context.WithCancel(ctx)
	go func() {
		most <- watchMemory(watching, e, func() {
			e.progress(time.Since(began), time.Since(began), fmt.Sprintf("texts: %d of %d", sent.Load(), s.Texts))
		})
	}()
	err = s.sendTexts(ctx, &sent, func() (*load.Conn, error) { return load.Dial(ctx, cfg, time.Now().Add(goWait)) })
	stop()
	peak := <-most
	if err != nil {
		return fmt.Errorf("after %d texts: %w", sent.Load(), err)
	}
	r.Add("distinct texts", "1/s", float64(sent.Load())/time.Since(began).Seconds())
	after, err := s.settled(ctx, e)
	if err != nil {
		return err
	}
	r.Add("memory before the texts", "MiB", mib(before))
	r.Add("memory while they are sent, most", "MiB", peak)
	r.Add(fmt.Sprintf("memory after %d distinct texts", sent.Load()), "MiB", mib(after))
	return nil
}

// sendTexts shares the texts out in batches.
func (s Steady) sendTexts(ctx context.Context, sent *atomic.Int64, dial func() (*load.Conn, error)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, textClients)
	for range textClients {
		wg.Go(func() {
			c, err := dial()
			if err != nil {
				errs <- err
				return
			}
			defer c.Quit()
			for ctx.Err() == nil {
				from := int(next.Add(textBatch)) - textBatch
				n := min(textBatch, s.Texts-from)
				if n <= 0 {
					return
				}
				if err := sendBatch(c, from, n); err != nil {
					errs <- err
					return
				}
				sent.Add(int64(n))
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		return err
	}
	return ctx.Err()
}

// sendBatch sends n texts from number from on: those of the extended protocol in one pipeline, the others one by one.
func sendBatch(c *load.Conn, from, n int) error {
	deadline := time.Now().Add(goWait)
	var pipeline []pgproto3.FrontendMessage
	for i := from; i < from+n; i++ {
		// Neither the literal nor the column's name may be the same twice: a fingerprint leaves the one out.
		sql := fmt.Sprintf("SELECT %d AS distinct_text_%d", i, i)
		switch i % 3 {
		case 0:
			name := fmt.Sprintf("s%d", i)
			pipeline = append(pipeline, &pgproto3.Parse{Name: name, Query: sql}, &pgproto3.Bind{PreparedStatement: name},
				&pgproto3.Execute{}, &pgproto3.Close{ObjectType: 'S', Name: name})
		case 1:
			once := []pgproto3.FrontendMessage{&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Execute{}}
			pipeline = append(append(pipeline, once...), once...)
		default:
			if _, err := c.Query(sql, deadline); err != nil {
				return err
			}
		}
	}
	_, err := c.Pipeline(append(pipeline, &pgproto3.Sync{}), deadline)
	return err
}

// watchMemory returns the most memory the proxy had until ctx ended, and calls looked after every look.
func watchMemory(ctx context.Context, e Env, looked func()) float64 {
	most := 0.0
	for {
		if p, err := load.ReadProcess(e.PIDs...); err == nil {
			most = max(most, mib(p))
		}
		looked()
		if !load.Sleep(ctx, time.Second/4) {
			return most
		}
	}
}
