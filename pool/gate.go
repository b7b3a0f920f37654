package pool

import "time"

// Gate is what some of the waiters of one pool come through: while it is shut they wait before it, for as long as that takes, and are not refused
// for pressure. Who has a server goes on. The zero value is open. It belongs to one pool, by whose lock it is guarded.
type Gate struct {
	shut bool
	over error // who comes is refused with it; nil: it can be opened
	held line[*Waiter]
}

// Shut shuts a gate, and has who waits in the queue and came through it wait before it.
func (p *Pool) Shut(g *Gate, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	if !g.shut {
		g.shut = true
		p.gates[g] = struct{}{}
	}
	var keep []*Waiter
	for place := p.queue.Any(); place != nil; place = p.queue.Any() {
		w := place.Value
		if w.Gate != g || w.own.Server != nil {
			keep = append(keep, w)
			continue
		}
		p.leftLocked(w)
		g.hold(w)
	}
	for _, w := range keep {
		p.queue.Return(&w.place)
	}
	p.grantAll(now)
}

// Open opens a gate. Who waited before it asks now, in the order in which they came.
func (p *Pool) Open(g *Gate, now time.Time) {
	var refused []*Waiter
	var errs []error
	p.mu.Lock()
	p.tallyLocked(now)
	g.shut = false
	delete(p.gates, g)
	for g.held.first != nil {
		w := g.held.first.of
		g.release(w)
		if err := p.admitLocked(w, now); err != nil {
			refused, errs = append(refused, w), append(errs, err)
		}
	}
	p.grantAll(now)
	for i, w := range refused {
		w.Grantee.Refused(errs[i])
	}
}

// Remove has everybody refused who waits before a gate, or comes to it from now on, for that reason: they belong elsewhere.
func (p *Pool) Remove(g *Gate, why error, now time.Time) {
	var out []*Waiter
	p.mu.Lock()
	p.tallyLocked(now)
	g.shut, g.over = false, why
	delete(p.gates, g)
	for g.held.first != nil {
		w := g.held.first.of
		g.release(w)
		out = append(out, w)
	}
	p.grantAll(now)
	for _, w := range out {
		w.Grantee.Refused(why)
	}
}

// hold has a waiter wait before the gate. It is called with the pool's mu held.
func (g *Gate) hold(w *Waiter) {
	w.held = true
	g.held.push(&w.spot, w)
}

// release ends that. It is called with the pool's mu held.
func (g *Gate) release(w *Waiter) {
	w.held = false
	g.held.remove(&w.spot)
}

// heldLocked takes everybody who waits before a gate.
func (p *Pool) heldLocked() (all []*Waiter) {
	for g := range p.gates {
		for g.held.first != nil {
			w := g.held.first.of
			g.release(w)
			all = append(all, w)
		}
	}
	return all
}

// Held is how many wait before a gate.
func (p *Pool) Held(g *Gate) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return g.held.n
}
