package instance

import (
	"time"

	"pgguard/pool"
	"pgguard/proxy/upstream"
)

// Reload replaces what the instance is told, and what it is the instance of: up may be another way to the same PostgreSQL, or the way to another that takes its place.
// others are the upstreams that name it as well, whose passwords it learns. If servers would be logged in to in another way now, those there are retired: who has
// one goes on, and has another from then on.
func (in *Instance) Reload(cfg Config, up upstream.Upstream, others []upstream.Upstream) {
	before, old := in.cfg(), in.Door()
	door := cfg.door(old.Renew(up))
	door.Learn(up)
	for _, o := range others {
		door.Learn(o)
	}
	cfg.Prints = before.Prints
	in.conf.Store(&cfg)
	in.door.Store(door)
	in.Pool.Reload(cfg.Pool, cfg.Observe)
	if cfg.Limit != before.Limit || cfg.Observe != before.Observe {
		in.Pool.SetLimit(in.law())
		if cfg.Limit == 0 {
			in.recall(time.Now())
		}
	}
	in.keepLookups(cfg.Lookups)
	if !old.Upstream.SameWay(&up) {
		in.Pool.Retire(time.Now(), "the way to the server is another now", func(*pool.Server) bool { return true })
		in.Doubt(0) // the side channel goes the new way, too
	}
	in.Wake()
}
