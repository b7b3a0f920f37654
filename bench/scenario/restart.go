package scenario

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"
)

// Restart is a fast restart of PostgreSQL under clients with short transactions.
type Restart struct {
	Clients  int           `default:"50" help:"Clients."`
	Think    time.Duration `default:"100ms" help:"Mean pause of a client between transactions."`
	Deadline time.Duration `default:"2s" help:"How long a client waits for a transaction, connecting included."`
	Pause    time.Duration `default:"100ms" help:"A client's rest after an error; after a timeout it has none."`
	Warmup   time.Duration `default:"2s" help:"Load before anything is counted."`
	Before   time.Duration `default:"8s" help:"Length of the phase before the restart."`
	After    time.Duration `default:"25s" help:"Length of the phase that begins with the restart."`
}

// Name returns "restart".
func (Restart) Name() string { return "restart" }

// Prepare makes the tables. It needs a server that is ours to restart.
func (s Restart) Prepare(ctx context.Context, server *Server) error {
	if server.Restart == nil {
		return errors.New("only a server of our own can be restarted: use --start-server")
	}
	return server.Prepare(ctx, time.Millisecond)
}

// Run restarts the server once.
func (s Restart) Run(ctx context.Context, e Env) (report.Run, error) {
	hit := &restartHit{clients: make([]restartClient, s.Clients)}
	sc, err := newScene(e, s.Warmup, []phase{
		{name: "before", length: s.Before},
		{name: "restart", length: s.After, trouble: true, do: func(context.Context) error { return hit.restart(e.Server) }},
	}, group{
		name: "clients", app: pumaName, deadline: s.Deadline, pause: s.Pause, think: s.Think, clients: []int{s.Clients},
		work: func(r *rand.Rand) []string { return hotWork(r, accountRows) }, step: hit.listen,
	})
	if err != nil {
		return report.Run{}, err
	}
	sc.blind = true
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	sc.report(&r)
	c := sc.crowd("clients")
	ticks := between(c.class.Ticks(), sc.line, sc.line.Begin(1), sc.line.End())
	r.Add("longest time without a success", "s", longestZero(ticks).Seconds())
	took, ok := RecoveryTime(ticks, c.class.Goodput(0))
	if !ok {
		took = s.After
	}
	r.Add("recovers in", "s", took.Seconds())
	r.Add("recovered", "share", share(ok))
	hit.report(&r)
	return r, nil
}

// restartClient is what is known of one client.
type restartClient struct {
	inside  bool // it has begun a transaction and not ended it
	between bool // it was not inside when the restart began
	seen    bool // something has failed since
}

// restartHit counts whom the restart hits, and where.
type restartHit struct {
	began time.Time     // of the restart; set before any count
	away  time.Duration // until the server took logins again

	mu       sync.Mutex
	clients  []restartClient // guarded by mu
	on       bool            // the restart has begun; guarded by mu
	failures [3]int64        // at BEGIN, at the first statement, later; guarded by mu
	hurt     [2]int64        // clients by where they first saw anything fail: before they had done anything, in a transaction; guarded by mu
}

// restart notes where everybody is and restarts the server.
func (h *restartHit) restart(s *Server) error {
	h.mu.Lock()
	for i := range h.clients {
		h.clients[i].between = !h.clients[i].inside
	}
	h.on, h.began = true, time.Now()
	h.mu.Unlock()
	err := s.Restart()
	h.away = time.Since(h.began)
	return err
}

// listen returns what hears of the statements of client id. A client that was between transactions has lost nothing as long
// as the first statement of its next one has had no answer, whoever has answered its BEGIN: it needs only be tried again.
func (h *restartHit) listen(id int) func(i int, err error) {
	return func(i int, err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		c := &h.clients[id]
		c.inside = err == nil && i < hotWorkCommit
		if err == nil || !h.on {
			return
		}
		h.failures[min(i, len(h.failures)-1)]++
		if c.seen {
			return
		}
		c.seen = true
		if c.between && i <= 1 {
			h.hurt[0]++
		} else {
			h.hurt[1]++
		}
	}
}

func (h *restartHit) report(r *report.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, c := range h.clients {
		if c.between {
			n++
		}
	}
	r.Add("server away", "s", h.away.Seconds())
	r.Add("clients between transactions at the restart", "", float64(n))
	r.Add("of them hit before they had done anything", "", float64(h.hurt[0]))
	r.Add("clients hit in a transaction", "", float64(h.hurt[1]))
	for i, name := range []string{"failed at BEGIN", "failed at the first statement", "failed later"} {
		r.Add(name, "", float64(h.failures[i]))
	}
}

// longestZero returns the longest time of ticks without anything.
func longestZero(ticks []int64) time.Duration {
	longest, run := 0, 0
	for _, n := range ticks {
		run++
		if n > 0 {
			run = 0
		}
		longest = max(longest, run)
	}
	return time.Duration(longest) * load.Tick
}
