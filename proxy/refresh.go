package proxy

import (
	"errors"
	"time"

	"pgguard/pool"
	"pgguard/proxy/translate"
)

// errLostAtLogin is why a server could not be asked what it reports.
var errLostAtLogin = errors.New("the server was lost while it was asked for its settings")

// refresh asks a server that has been granted what it reports to a new session, and gives it back. It is discarded if it does not answer in
// time.
func (l *login) refresh(granted pool.Lease, timeout time.Duration) error {
	b, era := granted.Conn.(*backend), l.inst.Era()
	c := translate.NewClient(&l.offer.Load().terms[0])
	o := clientless(b, granted)
	o.mu.Lock()
	if !b.link.CompareAndSwap(nil, o) {
		o.mu.Unlock()
		l.inst.Pool.Discard(granted, "dead when lent", time.Now())
		return errLostAtLogin
	}
	o.lease.Begin(&c, &b.session)
	stop := time.AfterFunc(timeout, func() { _ = b.conn.Conn.Close() })
	defer stop.Stop()
	o.orderLocked(o.lease.Refresh())
	if o.dead {
		o.mu.Unlock()
		return errLostAtLogin // its backend has answered for it
	}
	o.done = true
	l.tell(b.params.Load(), era)
	o.mu.Unlock()
	b.link.CompareAndSwap(o, nil)
	b.giveBack(granted, time.Now())
	return nil
}
