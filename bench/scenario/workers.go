package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"pgguard/bench/load"
)

// puma serves web reads, one at a time, with connections of the web's pool. A read whose deadline passes in the queue is
// never sent; one whose deadline passes on the connection costs the connection.
func (p *play) puma(ctx context.Context, id int) {
	r := load.Rand(p.env.Seed, 1000+uint64(id))
	for {
		var intended time.Time
		select {
		case <-ctx.Done():
			return
		case intended = <-p.reads:
		}
		deadline := intended.Add(p.ReadWait)
		err := load.Fail(load.Queued)
		if time.Now().Before(deadline) {
			c := p.web.take()
			_, err = c.Exec(ctx, readSQL(r, p.env.Server.ReadRows), deadline)
			p.web.give(c)
		}
		p.high.Note(intended, time.Now(), err)
	}
}

// worker takes jobs, one at a time. After an ERROR it rolls back and keeps its connection, as Rails does; after a lost
// connection it logs in for the next job.
func (p *play) worker(ctx context.Context, id int) {
	c := load.NewClient(p.lowCfg, &p.lowConn)
	defer c.Close()
	r := load.Rand(p.env.Seed, 100_000+uint64(id))
	hot := rand.NewZipf(r, 1.2, 1, accountRows-1)
	for {
		j, ok := p.queue.take(ctx)
		if !ok {
			return
		}
		err := p.work(ctx, c, r, j, 1+int(hot.Uint64()))
		if ctx.Err() != nil {
			return
		}
		p.low.Note(j.arrived, time.Now(), err)
		if err == nil {
			continue
		}
		if c.InTransaction() {
			// The answer changes nothing: the job has failed, and a lost connection is noticed at the next job.
			_, _ = c.Exec(ctx, "ROLLBACK", time.Now().Add(p.JobWait))
		}
		p.queue.retry(j)
	}
}

// work is the job's transaction: read, wait for the file server, write an account many write to, write the medium.
func (p *play) work(ctx context.Context, c *load.Client, r *rand.Rand, j job, account int) error {
	afterBegin := p.Form == "begin" || p.Form == "mixed" && j.id%2 == 0
	media := 1 + r.IntN(mediaRows)
	steps := []string{
		"BEGIN",
		readSQL(r, p.env.Server.ReadRows),
		fmt.Sprintf("UPDATE bench_accounts SET posts = posts + 1 WHERE id = %d", account),
		fmt.Sprintf("UPDATE bench_media SET state = 1, seen = seen + 1 WHERE id = %d", media),
		"COMMIT",
	}
	for i, sql := range steps {
		if _, err := c.Exec(ctx, sql, time.Now().Add(p.JobWait)); err != nil {
			return err
		}
		if i == 0 && afterBegin || i == 1 && !afterBegin {
			if !load.Sleep(ctx, p.fileServer(time.Now())) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// fileServer returns how long the file server takes for a request that begins at now. The end of the stall releases all
// who wait, at once.
func (p *play) fileServer(now time.Time) time.Duration {
	if p.line.Phase(now) != 1 {
		return p.NFS
	}
	return min(p.StallNFS, p.line.Begin(2).Sub(now)+p.NFS)
}
