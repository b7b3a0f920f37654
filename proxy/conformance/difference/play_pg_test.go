//go:build pg

package difference

import (
	"context"
	"fmt"
	"time"
)

// play plays a script against a database; g is nil for the direct connection. An error is a fault of the arena, not a
// difference.
func (a *arena) play(ctx context.Context, s script, g *guard) (transcript, error) {
	db, addr := direct, a.addr
	if g != nil {
		db, addr = guarded, g.addr
		g.disturb(s.user)
		defer g.quieten()
	}
	if err := a.prepare(ctx, db); err != nil {
		return transcript{}, err
	}
	if err := a.settleWorld(ctx, s, g); err != nil {
		return transcript{}, err
	}
	functions, err := a.functions(ctx, db, s)
	if err != nil {
		return transcript{}, err
	}
	p := &speaker{functions: functions, moving: s.guard.moving()}
	if err := p.dial(addr, s.user, db, s.options); err != nil {
		return transcript{}, err
	}
	n := neighbours{user: s.user}
	if g != nil && !g.noisy {
		n.g = g
	}
	defer n.release()
	for i, st := range s.steps {
		if p.over {
			break
		}
		p.said.mark(fmt.Sprintf("%d %s", i+1, st))
		if st.kind != client {
			p.said.played = append(p.said.played, st)
		}
		if st.kind == world {
			err = a.change(ctx, db, p, st, g)
		} else if st.kind != leave {
			err = a.step(ctx, db, p, &n, st)
		} else if err = a.leave(ctx, p, &n, st, g); err == nil {
			err = p.dial(addr, s.user, db, s.options)
		}
		if err != nil {
			return p.said, err
		}
	}
	p.said.mark("Sync and leave") // what was sent without a Flush is answered before
	n.clear(p)
	if last := (step{messages: []message{sync}}); n.refuses() {
		p.persist(last, &n)
	} else {
		p.play(last)
	}
	p.said.cut = p.over
	p.leave()
	n.leave()
	if g == nil && p.said.cut {
		return p.said, a.recover(ctx)
	}
	if g != nil {
		g.quieten()
	}
	err = a.remember(ctx, db, &p.said)
	return p.said, err
}

// remember enters what remains in db.
func (a *arena) remember(ctx context.Context, db string, said *transcript) error {
	remaining, err := a.left(ctx, db)
	if err == nil && said.lost() {
		err = a.goesDown(ctx, db)
	}
	for _, line := range remaining {
		said.add("(remains: " + line + ")")
	}
	return err
}

func (a *arena) step(ctx context.Context, db string, p *speaker, n *neighbours, st step) error {
	switch st.kind {
	case client:
		if n.refuses() {
			p.said.played = append(p.said.played, p.persist(st, n)...)
			return nil
		}
		p.hear(st)
	case neighbour:
		switch {
		case n.g == nil, n.refuses() && p.open(): // nobody else's statement runs before the batch has ended
		case !n.g.kind.refusing():
			return n.exchange(st)
		case st.holds:
			return n.hold(st, p)
		default:
			return n.visit(st, p)
		}
	case visitor:
		if n.g != nil && !(n.refuses() && p.open()) {
			return n.visit(st, p)
		}
	case notify:
		if err := a.exec(ctx, db, fmt.Sprintf("select pg_notify('%s', 'from outside')", st.channel)); err != nil {
			return err
		}
		if st := simple("select 'after the notification'"); n.refuses() {
			p.persist(st, n)
		} else {
			p.hear(st)
		}
	}
	return nil
}

// hear plays a step and puts notifications first.
func (p *speaker) hear(st step) {
	from := len(p.said.lines)
	p.play(st)
	p.said.early(from)
	if p.moving {
		p.said.late(from)
	}
}

// neighbours are two clients of the guard, or none without one; one stays in a transaction, so that one server is left for everybody else.
type neighbours struct {
	g        *guard
	user     string
	in, next *speaker // in holds a server
	holder   holder
}

// exchange has the next neighbour do what the step says and stay in a transaction, while the one before gives its
// server back. The next asks for a server first: it gets the one that is free, or, where the client keeps that, the
// one given back.
func (n *neighbours) exchange(st step) error {
	if n.next == nil || n.next.over {
		var err error
		if n.next, err = dial(n.g.addr, n.user, guarded, nil); err != nil {
			return err
		}
	}
	n.next.send(append(append([]message{sync}, st.messages...), query("begin; select 'in'"))...)
	done := make(chan struct{})
	go func() { defer close(done); n.next.settle() }()
	if err := n.until(done); err != nil {
		return err
	}
	if n.in != nil {
		n.in.play(step{messages: []message{query("rollback")}})
		if !st.stays || n.g.Stats().Clients["waiting"] > 0 {
			n.in.leave()
		}
	}
	<-done
	if n.in != nil && !n.in.over && n.g.taken() == servers { // perhaps by the one before: the client needs one
		n.in.leave()
	}
	n.in, n.next = n.next, n.in
	return nil
}

// visit has somebody come, do what the step says and leave, if there is a server to be had.
func (n *neighbours) visit(st step, client *speaker) error {
	n.clear(client)
	if n.g.taken() == n.g.room {
		return nil
	}
	p, err := dial(n.g.addr, n.user, guarded, nil)
	if err != nil {
		return err
	}
	p.play(st)
	p.leave()
	return nil
}

// until waits until the next neighbour has what it wants or waits for a server.
func (n *neighbours) until(done chan struct{}) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		select {
		case <-done:
			return nil
		case <-time.After(50 * time.Microsecond):
		}
		if n.g.Stats().Clients["waiting"] > 0 {
			return nil
		}
	}
	return fmt.Errorf("a neighbour is neither answered nor waiting after %s", patience)
}

func (n *neighbours) leave() {
	for _, p := range []*speaker{n.in, n.next, n.holder.holds, n.holder.waits} {
		if p != nil && !p.over {
			p.leave()
		}
	}
}
