//go:build pg

package difference

import (
	"context"
	"errors"
	"math/rand/v2"
	gosync "sync"

	"pgguard/pool/queue"
	"pgguard/proxy"
	"pgguard/proxy/upstream"
)

// servers is the cap of the guard: one for a neighbour, one for the client and all who come meanwhile.
const servers = 2

// noisy is how many clients make noise, when they do; one more server lets the client in between them.
const noisy = 3

// guard is a server of package proxy in front of an arena. Its neighbours exchange servers step by step, or, if it is
// noisy, do what they like while the client does.
type guard struct {
	*proxy.Server
	addr   string
	served chan error
	kind   kind
	room   int // for servers
	noisy  bool
	second *guard // of a kind for which the world changes: who comes through it, too

	stop chan struct{} // ends the noise; nil without
	work gosync.WaitGroup
}

// newGuard starts a guard. With a plain one nobody is refused for having waited.
func newGuard(ctx context.Context, a *arena, k kind, noise bool) (*guard, error) {
	for _, db := range []string{direct, guarded} { // a search_path with the neighbours' schema finds it in both
		err := a.exec(ctx, db, neighbourFixture)
		if err != nil && a.admin[db].IsClosed() { // PostgreSQL has crashed after the last script
			if err = a.recover(ctx); err == nil {
				err = a.exec(ctx, db, neighbourFixture)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	g, err := startGuard(ctx, a, k, noise)
	if err == nil && k.moving() {
		if g.second, err = startGuard(ctx, a, k, false); err != nil {
			err = errors.Join(err, g.close())
		}
	}
	return g, err
}

// startGuard starts a guard before databases that are prepared.
func startGuard(ctx context.Context, a *arena, k kind, noise bool) (*guard, error) {
	cfg := proxy.Default()
	cfg.Listen = []proxy.Listener{{Addr: "127.0.0.1:0"}}
	cfg.Upstream = upstream.Upstream{Host: a.cluster.Host(), Port: a.cluster.Port(), User: "postgres", ConnectTimeout: patience}
	cfg.Rules = nil
	cfg.Pool.MaxServers = servers
	if noise {
		cfg.Pool.MaxServers++
	}
	cfg.MaxPinned = cfg.Pool.MaxServers
	cfg.CancelTimeout = 2 * patience // a server that is not cleaned is seen before the guard gives up on it and closes it
	cfg.MaxPrepared = 5              // fewer than the texts of a script: they are put out of a server all the time
	cfg.Pool.Classes = []queue.Class{{Name: "high", Weight: 1, MaxWait: 2 * patience, MaxLength: 1000, MaxShare: 1}}
	k.configure(&cfg)
	srv, err := proxy.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := srv.Listen(); err != nil {
		return nil, err
	}
	g := &guard{Server: srv, addr: srv.Addrs()[0].String(), served: make(chan error, 1), kind: k, room: cfg.Pool.MaxServers, noisy: noise}
	go func() { g.served <- srv.Serve(ctx) }()
	return g, nil
}

func (g *guard) close() error {
	if g.second != nil {
		if err := g.second.close(); err != nil {
			return err
		}
	}
	if err := g.Close(); err != nil {
		return err
	}
	return <-g.served
}

// disturb starts the noise of a noisy guard; quieten ends it and waits until all have left.
func (g *guard) disturb(user string) {
	if !g.noisy {
		return
	}
	stop := make(chan struct{})
	g.stop = stop
	for range noisy {
		g.work.Go(func() { g.noise(user, stop) })
	}
}

// quieten may be called twice.
func (g *guard) quieten() {
	if g.stop != nil {
		close(g.stop)
		g.stop = nil
	}
	g.work.Wait()
}

// noise logs in, does a few things and leaves as it is, again and again until it is stopped.
func (g *guard) noise(user string, stop chan struct{}) {
	dirty := &generator{r: rand.New(rand.NewPCG(rand.Uint64(), 0))} // in what order things happen is not to be repeated anyway
	for {
		p, err := dial(g.addr, user, guarded, nil)
		if err != nil {
			return // the guard is not there: the client says so
		}
		for range 1 + dirty.r.IntN(4) {
			p.play(dirty.neighbour())
		}
		p.leave()
		select {
		case <-stop:
			return
		default:
		}
	}
}

// pinned counts the pins so far, the neighbours' too.
func (g *guard) pinned() (n uint64) {
	for _, k := range g.Stats().Pins {
		n += k
	}
	return n
}

// taken counts the servers that somebody holds.
func (g *guard) taken() (n int) {
	for _, p := range g.Stats().Pools {
		n += p.Servers["active"]
	}
	return n
}
