package scenario

import (
	"context"
	"math/rand/v2"
	"time"

	"pgguard/bench/load"

	"github.com/jackc/pgx/v5/pgconn"
)

// group is clients of one kind.
type group struct {
	name     string // in the figures
	app      string // application_name
	deadline time.Duration
	pause    time.Duration // closed loop: rest after an error; without it a target that fails at once would be asked by spinning clients
	work     func(r *rand.Rand) []string
	// rate, when above 0, makes an open loop: so many arrivals a second from the warm-up to the end, served on the
	// connections of clients, the one used last first, as Rails does. shape, when not nil, is the part of the rate, 0 to
	// 1, at a time since second zero.
	rate  float64
	shape func(at time.Duration) float64
	// clients is how many there are: in all phases for an open loop, in each phase for a closed one.
	clients []int
	think   time.Duration // closed loop: mean pause between pieces of work
	leaves  bool          // closed loop: each piece of work has a connection of its own
	// step, when not nil, makes what hears of every statement of the client id.
	step func(id int) func(i int, err error)
	trip time.Duration // the round trip between client and proxy, made by the client
	// hear, when not nil, hears of every try from all clients, as the class does.
	hear func(work []string, intended, finished time.Time, err error)
}

// crowd is a group at work.
type crowd struct {
	group
	env      Env
	place    uint64 // among the crowds; numbers the random streams
	line     load.Timeline
	cfg      *pgconn.Config
	class    *load.Class
	conns    load.Connections
	crew     *load.Crew
	arrivals chan time.Time
	web      webPool
}

// streams is how far the random streams of two crowds are apart: more than there are clients in one.
const streams = 1 << 20

// newCrowd returns a crowd of which nobody works yet. Arrivals that would have to wait for longer than the deadline even
// if all before them were served in the nick of time find no place to wait.
func newCrowd(g group, e Env, place int, line load.Timeline) (*crowd, error) {
	cfg, err := load.ParseURL(e.URL, g.app)
	if err != nil {
		return nil, err
	}
	if g.trip > 0 {
		load.Remove(cfg, g.trip)
	}
	c := &crowd{group: g, env: e, place: uint64(place+1) * streams, line: line, cfg: cfg, class: load.NewClass(line, g.deadline)}
	if g.rate > 0 {
		c.arrivals = make(chan time.Time, int(2*g.rate*g.deadline.Seconds())+1000)
		for range g.clients[0] {
			c.web.idle = append(c.web.idle, load.NewClient(cfg, &c.conns))
		}
	}
	return c, nil
}

// start brings the clients of the first phase to work. They end with ctx.
func (c *crowd) start(ctx context.Context) {
	work := c.loop
	if c.rate > 0 {
		work = c.serve
	}
	c.crew = load.NewCrew(ctx, work)
	c.resize(0)
}

// resize makes the crowd as large as phase i wants it.
func (c *crowd) resize(i int) {
	c.crew.Resize(c.clients[min(i, len(c.clients)-1)])
}

// close waits for all clients, whose ctx has ended.
func (c *crowd) close() {
	c.crew.Close()
	c.web.close()
}

// random is the generator of client id.
func (c *crowd) random(id int) *rand.Rand { return load.Rand(c.env.Seed, c.place+uint64(id)) }

// loop is one client of a closed loop.
func (c *crowd) loop(ctx context.Context, id int) {
	client := load.NewClient(c.cfg, &c.conns)
	defer client.Close()
	r := c.random(id)
	m := manner{class: c.class, deadline: c.deadline, pause: c.pause, hear: c.hear}
	if c.step != nil {
		m.step = c.step(id)
	}
	for ctx.Err() == nil {
		m.insist(ctx, client, c.work(r))
		if c.leaves {
			client.Quit()
		}
		if c.think > 0 {
			load.Sleep(ctx, time.Duration((0.5+r.Float64())*float64(c.think)))
		}
	}
}

// arrive calls in the arrivals from start until ctx ends and returns how late it was.
func (c *crowd) arrive(ctx context.Context, start time.Time) *load.Tally {
	thin := load.Rand(c.env.Seed, c.place-2)
	return load.Open(ctx, start, c.rate, load.Rand(c.env.Seed, c.place-1), func(at time.Time) {
		if c.shape != nil && thin.Float64() >= c.shape(at.Sub(c.line.Start)) {
			return
		}
		select {
		case c.arrivals <- at:
		default:
			c.class.Note(at, time.Now(), load.Fail(load.Queued))
		}
	})
}

// serve is one thread of an open loop. Work whose deadline passes in the queue is never sent; an error is not tried again.
func (c *crowd) serve(ctx context.Context, id int) {
	r := c.random(id)
	m := manner{class: c.class, deadline: c.deadline, hear: c.hear}
	for {
		var intended time.Time
		select {
		case <-ctx.Done():
			return
		case intended = <-c.arrivals:
		}
		deadline, work := intended.Add(c.deadline), c.work(r)
		err := load.Fail(load.Queued)
		if time.Now().Before(deadline) {
			client := c.web.take()
			if err = m.try(ctx, client, work, deadline); err != nil {
				m.rollBack(ctx, client)
			}
			c.web.give(client)
		}
		if ctx.Err() != nil {
			return
		}
		m.note(work, intended, time.Now(), err)
	}
}
