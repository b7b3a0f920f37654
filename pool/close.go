package pool

import (
	"context"
	"errors"
	"time"
)

// RefuseAll refuses everybody who waits for a server.
func (p *Pool) RefuseAll(err error) { p.refuse(err, func(*Waiter) bool { return true }) }

func (p *Pool) refuse(err error, which func(*Waiter) bool) {
	var out []*Waiter
	var keep []*Waiter
	p.mu.Lock()
	for place := p.queue.Any(); place != nil; place = p.queue.Any() {
		w := place.Value
		if w.own.Server == nil && which(w) || errors.Is(err, ErrClosed) {
			p.leftLocked(w)
			out = append(out, w)
		} else {
			keep = append(keep, w)
		}
	}
	for _, w := range keep {
		p.queue.Return(&w.place)
	}
	if errors.Is(err, ErrClosed) {
		out = append(out, p.heldLocked()...)
	}
	p.mu.Unlock()
	for _, w := range out {
		w.Grantee.Refused(err)
	}
}

// Close refuses who waits, closes every idle server and waits until all servers are gone or ctx ends; servers still
// lent are closed when they are released.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	var idle []*Server
	for s := range p.servers {
		if s.state == Idle {
			idle = append(idle, s)
		}
	}
	for _, s := range idle {
		p.moveLocked(s, Closing, time.Now())
	}
	p.mu.Unlock()
	p.refuse(ErrClosed, func(*Waiter) bool { return true })
	for _, s := range idle {
		s.Conn.Close("shutdown")
	}
	p.cancel()
	done := make(chan struct{})
	go func() { p.owned.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
