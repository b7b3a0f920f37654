package pool

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// Reload replaces what the pool is told. The classes are as many as before, under the same names, and observe is New's. Who waits, waits as he was told when he came;
// servers beyond a lower cap are closed as they are released. It panics if the classes are others.
func (p *Pool) Reload(cfg Config, observe bool) {
	now := time.Now()
	p.mu.Lock()
	for i, c := range p.cfg.Classes {
		if len(cfg.Classes) != len(p.cfg.Classes) || cfg.Classes[i].Name != c.Name {
			p.mu.Unlock()
			panic("pool: the names of the classes cannot change")
		}
	}
	p.tallyLocked(now)
	again := cfg.Lifetime != p.cfg.Lifetime
	p.cfg, p.free, p.mixed = cfg, observe, cfg.mixed()
	p.queue.SetClasses(cfg.Classes)
	p.queue.KeepOrder(observe)
	p.cap.set(cfg.MaxServers)
	for s := range p.servers {
		if again && !s.opened.IsZero() {
			p.ageLocked(s)
		}
	}
	p.changes++
	p.grantAll(now)
}

// ageLocked says when a server that has been opened is too old.
func (p *Pool) ageLocked(s *Server) {
	s.expires = time.Time{}
	if most := cmp.Or(s.Key.Lifetime, p.cfg.Lifetime); most > 0 {
		s.expires = s.opened.Add(most - rand.N(most/10+1))
	}
}

// Bound has most say anew how many servers there may be of each key, and how old they may be. It is called with the pool's lock held, and may not call the pool.
func (p *Pool) Bound(most func(*Key) (Most, time.Duration)) {
	now := time.Now()
	p.mu.Lock()
	p.tallyLocked(now)
	other := false
	for _, k := range p.list {
		was := k.Lifetime
		k.Most, k.Lifetime = most(k)
		p.bounded = p.bounded || k.Most != Most{}
		other = other || k.Lifetime != was
	}
	for s := range p.servers {
		if other && !s.opened.IsZero() {
			p.ageLocked(s)
		}
	}
	p.grantAll(now)
}
