package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// phase is one part of a scene.
type phase struct {
	name    string
	length  time.Duration
	trouble bool // something is wrong on purpose
	// do, when not nil, is called when the phase begins, on a goroutine of its own; its ctx ends with the phase.
	do func(ctx context.Context) error
}

// scene is one run of groups of clients side by side, phase by phase.
type scene struct {
	env    Env
	began  time.Time
	phases []phase
	line   load.Timeline
	crowds []*crowd
	watch  *load.Watcher // nil when blind
	blind  bool          // the server goes away, so that nobody can look at it
	lag    *load.Tally
}

// newScene makes a scene that begins now.
func newScene(e Env, warmup time.Duration, phases []phase, groups ...group) (*scene, error) {
	s := &scene{env: e, began: time.Now(), phases: phases, lag: load.NewTally()}
	s.line.Start = s.began.Add(warmup)
	for _, p := range phases {
		s.line.Phases = append(s.line.Phases, p.length)
	}
	for i, g := range groups {
		c, err := newCrowd(g, e, i, s.line)
		if err != nil {
			return nil, err
		}
		s.crowds = append(s.crowds, c)
	}
	return s, nil
}

// crowd returns the crowd of the group of that name.
func (s *scene) crowd(name string) *crowd {
	for _, c := range s.crowds {
		if c.name == name {
			return c
		}
	}
	panic("scene without " + name)
}

// run plays the scene and returns a run with what the process meters say. Everything it starts has ended then.
func (s *scene) run(parent context.Context) (report.Run, error) {
	r := report.Run{Started: s.began, Zero: s.line.Start, Seed: s.env.Seed}
	if !s.blind {
		w, err := load.Watch(parent, s.env.Server.URL)
		if err != nil {
			return r, err
		}
		s.watch = w
	}
	m := startMeter(s.env.PIDs)
	err := s.play(parent)
	m.finish(&r, s.lag)
	if s.watch != nil {
		err = errors.Join(err, s.watch.Close())
	}
	return r, errors.Join(err, parent.Err())
}

// play has the crowds work from now to the end.
func (s *scene) play(parent context.Context) error {
	ctx, stop := context.WithDeadline(parent, s.line.End())
	defer stop()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, c := range s.crowds {
		c.start(ctx)
		if c.rate > 0 {
			wg.Go(func() {
				lag := c.arrive(ctx, s.began)
				mu.Lock()
				defer mu.Unlock()
				s.lag.Merge(lag)
			})
		}
	}
	for i, p := range s.phases {
		if !load.Sleep(ctx, time.Until(s.line.Begin(i))) {
			break
		}
		for _, c := range s.crowds {
			c.resize(i)
		}
		if p.do != nil {
			wg.Go(func() {
				ctx, stop := context.WithDeadline(ctx, s.line.Begin(i+1))
				defer stop()
				if err := p.do(ctx); err != nil && ctx.Err() == nil {
					mu.Lock()
					defer mu.Unlock()
					failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
				}
			})
		}
		s.show(ctx, i)
	}
	<-ctx.Done()
	for _, c := range s.crowds {
		c.close()
	}
	wg.Wait()
	return failed
}

// show tells the progress until phase i ends.
func (s *scene) show(ctx context.Context, i int) {
	total := s.line.End().Sub(s.line.Start)
	for next := s.line.Begin(i); ctx.Err() == nil && time.Now().Before(s.line.Begin(i+1)); {
		var b strings.Builder
		fmt.Fprintf(&b, "%-10s", s.phases[i].name)
		for _, c := range s.crowds {
			since := max(time.Since(s.line.Begin(i)).Seconds(), 0.1)
			fmt.Fprintf(&b, "  %s %6.1f/s", c.name, float64(c.class.Phase(i).Useful)/since)
		}
		if s.watch != nil {
			fmt.Fprintf(&b, "  server connections %3d", s.watch.Last().Total)
		}
		s.env.progress(time.Since(s.line.Start), total, b.String())
		next = next.Add(500 * time.Millisecond)
		load.Sleep(ctx, min(time.Until(next), time.Until(s.line.Begin(i+1))))
	}
}

// report adds what every scene has: figures by phase and group, errors, phases and series.
func (s *scene) report(r *report.Run) {
	if r.Errors == nil {
		r.Errors = map[string]int64{}
	}
	at := 0.0
	for i, p := range s.phases {
		for _, c := range s.crowds {
			if c.clients[min(i, len(c.clients)-1)] > 0 {
				c.report(r, i, p.name+": "+c.name)
			}
		}
		if s.watch != nil {
			r.Add(p.name+": server connections, most", "", float64(s.watch.Max(s.line.Begin(i), s.line.Begin(i+1))))
		}
		r.Phases = append(r.Phases, report.Phase{Name: p.name, From: at, To: at + p.length.Seconds(), Trouble: p.trouble})
		at += p.length.Seconds()
	}
	for _, c := range s.crowds {
		r.Add(c.name+": logins tried", "", float64(c.conns.Attempts.Load()))
		r.Add(c.name+": logins failed", "", float64(c.conns.LoginFailed.Load()))
		r.Add(c.name+": connections closed by own deadline", "", float64(c.conns.OwnDeadline.Load()))
		r.Add(c.name+": connections closed by the other side", "", float64(c.conns.ByServer.Load()))
		r.Series = append(r.Series,
			report.PerSecond(c.name, "useful answers/s", c.class.PerSecond()),
			report.PerSecond(c.name+" p99", "ms", c.class.P99PerSecond()))
	}
	if s.watch != nil {
		n := int(s.line.End().Sub(s.line.Start).Seconds())
		r.Series = append(r.Series,
			report.PerSecond(SeriesActive, "statements", s.watch.ActivePerSecond(s.line.Start, n)),
			report.PerSecond(SeriesServers, "connections", s.watch.PerSecond(s.line.Start, n)))
	}
}

// report adds the figures of phase i under a label.
func (c *crowd) report(r *report.Run, i int, label string) {
	t := c.class.Phase(i)
	r.Add(label+" goodput", "1/s", c.class.Goodput(i))
	r.Add(label+" p50", "ms", ms(t.Quantile(0.5)))
	r.Add(label+" p99", "ms", ms(t.Quantile(0.99)))
	r.Add(label+" failed", "", float64(t.Offered-t.Useful))
	for kind, n := range t.Errors {
		r.Errors[label+": "+kind] += n
	}
}
