package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pgguard/bench/load"

	"github.com/jackc/pgx/v5/pgconn"
)

// play is one run of a story.
type play struct {
	Story
	env             Env
	line            load.Timeline
	watch           *load.Watcher
	highCfg, lowCfg *pgconn.Config

	high, low         *load.Class
	highConn, lowConn load.Connections
	reads             chan time.Time // arrivals of web reads nobody has taken yet
	web               webPool
	queue             *jobQueue

	// What conduct has noted; read only after run.
	marks       []mark // at the beginning of every phase, and at the end
	backlog     []float64
	ticks       []int // backlog every conductEvery
	workers     []float64
	mostWorkers int
	lastBacklog int
}

// mark is the state of the connection counters at one moment.
type mark struct{ attempts, failed, own, server int64 }

// conductEvery is the resolution of the backlog and the operator's clock.
const conductEvery = 100 * time.Millisecond

// run plays from began to the end of the timeline and returns how late the arrivals were. Everything it starts has ended when it returns.
func (p *play) run(ctx context.Context, began time.Time) *load.Tally {
	ctx, stop := context.WithDeadline(ctx, p.line.End())
	defer stop()
	for range p.Pumas {
		p.web.idle = append(p.web.idle, load.NewClient(p.highCfg, &p.highConn))
	}
	pumas := load.NewCrew(ctx, p.puma)
	sidekiq := load.NewCrew(ctx, p.worker)
	pumas.Resize(p.Pumas)
	sidekiq.Resize(p.Workers)
	var wg sync.WaitGroup
	var readLag, jobLag *load.Tally
	wg.Go(func() {
		readLag = load.Open(ctx, began, p.Reads, load.Rand(p.env.Seed, 1), func(t time.Time) { p.reads <- t })
	})
	wg.Go(func() {
		var id int64
		jobLag = load.Open(ctx, began, p.Jobs, load.Rand(p.env.Seed, 2), func(t time.Time) {
			id++
			p.queue.push(job{id: id, arrived: t})
		})
	})
	p.conduct(ctx, sidekiq)
	wg.Wait()
	pumas.Close()
	p.web.close()
	sidekiq.Close()
	readLag.Merge(jobLag)
	return readLag
}

// conduct notes the backlog, lets the operator decide, and tells the progress, until ctx ends.
func (p *play) conduct(ctx context.Context, sidekiq *load.Crew) {
	if !load.Sleep(ctx, time.Until(p.line.Start)) {
		p.fillMarks()
		return
	}
	operator := Operator{Step: p.AddWorkers, Max: p.MaxWorkers}
	total := p.line.End().Sub(p.line.Start)
	for i := 0; ; i++ {
		at := time.Duration(i) * conductEvery
		if at >= total || !load.Sleep(ctx, time.Until(p.line.Start.Add(at))) {
			break
		}
		n := p.queue.backlog()
		phase := max(p.line.Phase(time.Now()), 0)
		for len(p.marks) <= phase {
			p.marks = append(p.marks, p.mark())
		}
		if at > 0 && at%p.AddEvery < conductEvery {
			sidekiq.Resize(operator.Decide(sidekiq.Size(), n))
		}
		p.ticks = append(p.ticks, n)
		if at%time.Second == 0 {
			p.backlog = append(p.backlog, float64(n))
			p.workers = append(p.workers, float64(sidekiq.Size()))
		}
		if at%(5*conductEvery) == 0 {
			p.env.progress(at, total, p.describe(phase, n, sidekiq.Size()))
		}
	}
	<-ctx.Done()
	p.mostWorkers, p.lastBacklog = sidekiq.Size(), p.queue.backlog()
	p.fillMarks()
}

// fillMarks completes the marks at the end, also of a run that was broken off.
func (p *play) fillMarks() {
	for len(p.marks) <= len(phaseNames) {
		p.marks = append(p.marks, p.mark())
	}
}

func (p *play) mark() mark {
	h, l := &p.highConn, &p.lowConn
	return mark{
		attempts: h.Attempts.Load() + l.Attempts.Load(),
		failed:   h.LoginFailed.Load() + l.LoginFailed.Load(),
		own:      h.OwnDeadline.Load() + l.OwnDeadline.Load(),
		server:   h.ByServer.Load() + l.ByServer.Load(),
	}
}

func (p *play) describe(phase, backlog, workers int) string {
	ticks := p.high.Ticks()
	now := int(time.Since(p.line.Start) / load.Tick)
	var lastSecond int64
	for _, n := range ticks[max(min(now, len(ticks))-10, 0):min(now, len(ticks))] {
		lastSecond += n
	}
	return fmt.Sprintf("%-6s  web %3d/s  backlog %4d  workers %3d  server connections %3d",
		phaseNames[phase], lastSecond, backlog, workers, p.watch.Last().Total)
}

// mostBacklog returns the largest backlog of phase i.
func (p *play) mostBacklog(i int) float64 {
	from := int(p.line.Begin(i).Sub(p.line.Start) / conductEvery)
	to := int(p.line.Begin(i+1).Sub(p.line.Start) / conductEvery)
	most := 0
	for _, n := range p.ticks[min(from, len(p.ticks)):min(to, len(p.ticks))] {
		most = max(most, n)
	}
	return float64(most)
}

// clearedAfter returns how long after the release the backlog first was at most low, and whether it ever was.
func (p *play) clearedAfter(low int) (time.Duration, bool) {
	from := int(p.line.Begin(2).Sub(p.line.Start) / conductEvery)
	for i, n := range p.ticks[min(from, len(p.ticks)):] {
		if n <= low {
			return time.Duration(i) * conductEvery, true
		}
	}
	return p.After, false
}
