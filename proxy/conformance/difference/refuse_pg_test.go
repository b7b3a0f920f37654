//go:build pg

package difference

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	gosync "sync"
	"time"

	"pgguard/proxy"
)

// soonRefused is how long an impatient guard lets clients wait. The pool looks at its clock 20 times a second.
const soonRefused = 10 * time.Millisecond

// late is after how long room is made for a client that has not been refused: some texts never are.
func (k kind) late() time.Duration {
	if k == impatient || k == narrow {
		return 15 * soonRefused
	}
	return 3 * soonRefused // refusals do not depend on the clock
}

// configure makes cfg that of a kind of guard.
func (k kind) configure(cfg *proxy.Config) {
	if k == changing {
		cfg.StatementAge = soonRead
	}
	if !k.refusing() {
		return
	}
	class := &cfg.Pool.Classes[0]
	cfg.Limit = 1
	cfg.Pool.MaxServers = servers + 1
	switch k {
	case impatient:
		class.MaxWait = soonRefused
	case full:
		class.MaxLength = 1
	case narrow:
		class.MaxWait = soonRefused
		cfg.Mode, cfg.Limit = proxy.PoolModeSession, 0
		cfg.Pool.MaxServers = 1
	}
	cfg.MaxPinned = cfg.Pool.MaxServers
}

// holder is a neighbour that keeps what the guard has of room: the right to run a statement, or the only server.
type holder struct {
	holds, waits *speaker // waits stands in the line
	mu           gosync.Mutex
	held         bool // guarded by mu
}

// refuses is whether the guard may refuse the client's next step.
func (n *neighbours) refuses() bool { return n.g != nil && n.g.kind.refusing() }

// hold has somebody do what the step says, and then the holder take what there is, if it gets that.
func (n *neighbours) hold(st step, client *speaker) error {
	if err := n.visit(st, client); err != nil {
		return err
	}
	h := &n.holder
	for _, p := range []**speaker{&h.holds, &h.waits} {
		if (p == &h.waits && n.g.kind != full) || (*p != nil && !(*p).over) {
			continue
		}
		var err error
		if *p, err = dial(n.g.addr, n.user, guarded, nil); err != nil {
			return err
		}
	}
	if n.g.kind == narrow {
		h.holds.play(simple("select 1"))
		h.held = !h.holds.over && n.g.taken() == n.g.room
		return nil
	}
	h.holds.send(query("copy n.held from stdin"))
	h.holds.settleCopy()
	h.held = h.holds.ledger.copying
	if h.held && n.g.kind == full {
		h.waits.send(query("select 1"))
		return n.waiting(1)
	}
	return nil
}

// waiting waits until so many clients wait for the guard.
func (n *neighbours) waiting(most int) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Microsecond) { // between two looks
		if n.g.Stats().Clients["waiting"] >= most {
			return nil
		}
	}
	return fmt.Errorf("nobody waits after %s", patience)
}

// release makes room: who held it leaves, because it may have been made to keep its server. It may be called twice, and from any goroutine.
func (n *neighbours) release() {
	h := &n.holder
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.held {
		return
	}
	h.held = false
	if n.g.kind != narrow {
		h.holds.send(copyDone)
	}
	h.holds.leave()
}

// clear makes room, and waits until the line is empty, too. A client that has a batch open holds up who stands in it.
func (n *neighbours) clear(client *speaker) {
	n.release()
	if p := n.holder.waits; p != nil && !p.over && !client.open() {
		p.settle()
		p.leave()
	}
}

// persist plays a step with a guard that may refuse it, or parts of it, until all has been taken. What it was refused is not in
// the transcript but for what is wrong with that. It returns the steps that were taken, to be played directly.
func (p *speaker) persist(st step, n *neighbours) (played []step) {
	idle, begun := p.said.state()
	if !n.holder.held || p.open() || !idle && begun {
		n.clear(p)
	}
	// In a transaction nobody is refused, and nobody waits.
	if p.open() || !idle && !begun && units(st.messages) < 2 {
		p.hear(st)
		return []step{st}
	}
	if openEnded(st.messages) { // it is to be known whether it was refused
		st.messages = append(slices.Clone(st.messages), flush)
	}
	st.messages = slices.Clone(st.messages)
	for i := range st.messages {
		st.messages[i].n = i
	}
	for end := time.Now().Add(patience); ; {
		r := &refusals{step: st}
		p.refusals = r
		stop := n.watch(p.key)
		p.hear(st)
		if r.mute { // the batch was refused up to a Sync that has not been sent
			p.send(sync)
			p.settle()
		}
		stop()
		p.refusals = nil
		taken, again := r.split(p.got)
		if len(taken.messages) > 0 || len(again.messages) == 0 {
			played = append(played, taken)
		}
		if len(again.messages) == 0 || p.over {
			return played
		}
		if time.Now().After(end) {
			p.said.add("(refused again and again: " + again.String() + ")")
			return played
		}
		p.said.refused++
		n.clear(p)
		st = again
	}
}

// watch makes room once the client has waited too long, or, with a guard for that, cancels what it waits for, until stop is
// called.
func (n *neighbours) watch(key []byte) (stop func()) {
	done := make(chan struct{})
	cancels := n.g.kind == cancelling && n.holder.held // who waits does so until the holder lets go
	var work gosync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(200 * time.Microsecond)
		defer tick.Stop()
		for end := time.Now().Add(n.g.kind.late()); time.Now().Before(end); {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if cancels && n.g.Stats().Clients["waiting"] > 0 {
				n.cancel(key)
			}
		}
		n.release()
	})
	return func() { close(done); work.Wait() }
}

// cancel sends a request to cancel, and returns once the guard has closed it.
func (n *neighbours) cancel(key []byte) {
	nc, err := net.DialTimeout("tcp", n.g.addr, patience)
	if err != nil {
		return
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(key)))
	b = binary.BigEndian.AppendUint32(b, cancelCode)
	if _, err := nc.Write(append(b, key...)); err == nil {
		_, _ = io.Copy(io.Discard, nc)
	}
}

// cancelCode stands where a start-up packet has the version of the protocol.
const cancelCode = 80877102
