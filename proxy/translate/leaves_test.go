package translate

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pgguard/proxy/wire"
)

// rapidPicker picks as rapid says.
type rapidPicker struct{ t *rapid.T }

func (p rapidPicker) pick(n int) int {
	if n <= 1 {
		return 0
	}
	return rapid.IntRange(0, n-1).Draw(p.t, "choice")
}

// TestNothingIsCommittedForAClientThatHasGone has a client leave in the middle of anything: what is committed then is what its own Sync, the end
// of its query or its COMMIT has committed, and the server is like a new one.
func TestNothingIsCommittedForAClientThatHasGone(t *testing.T) {
	texts := slices.Concat(plainTexts, plainTexts, sessionTexts)
	rapid.Check(t, func(t *rapid.T) {
		p := rapidPicker{t}
		y := newPlay(p, stage{servers: 1, clients: 1, max: 2 + 20*p.pick(2), room: 1, eighteen: p.pick(2) > 0, session: p.pick(4) == 3})
		y.logs = true
		c, h := y.players[0], y.houses[0]
		for range p.pick(60) {
			if p.pick(4) == 0 || !y.act() {
				c.talk.in = append(c.talk.in, y.sends(texts)...)
			}
			if text := y.fault(); text != "" {
				t.Fatalf("%s\n%s", y.story(), text)
			}
		}
		if text := y.leaves(c, h, p.pick(4) == 3); text != "" {
			t.Fatalf("%s\n%s", y.story(), text)
		}
	})
}

// leaves has a client leave and its server cleaned, and returns what is wrong. cancels: a cancel request of the guard's hits something.
func (y *play) leaves(c *player, h *house, cancels bool) string {
	c.direct.ends()
	o := c.talk.leave()
	if o == nil {
		return y.left(c, h, false)
	}
	y.note("%s leaves", c.who)
	o.wrote = func(b []byte) { y.note("  the guard to its server: %s", shown(b, showClients)) }
	h.to, h.gone, c.at = nil, o, nil
	for n := 0; ; n++ {
		if cancels && y.pick(4) == 0 {
			h.pg.cancel, cancels = true, false
		}
		more := o.settle()
		_, size, ok, _ := wire.Peek(h.pg.in)
		switch reads := ok && size <= len(h.pg.in) && !h.pg.dead; {
		case len(h.pg.out) > 0 && (!reads || y.pick(2) == 0):
			y.deliver(0, h)
		case reads:
			h.pg.step()
		case !more:
			return y.left(c, h, h.pg.canceled)
		}
		if n > 10_000 {
			return "it is never clean"
		}
	}
}

// left is what is wrong when a client has left its server.
func (y *play) left(c *player, h *house, canceled bool) string {
	o := h.gone
	fit := o == nil || o.stage == 'f'
	switch {
	case o != nil && o.fault != "":
		return o.fault
	case o != nil && o.stage != 'f' && o.stage != 'u':
		return fmt.Sprintf("its server is never clean: %s; %s", o.lease.shows(), o.lease.owed.shows())
	case !fit && !canceled && !o.stained && !o.lease.doubt && o.lease.fatal == nil:
		return "its server is thrown away, and need not be: " + o.lease.shows()
	case y.seats.taken != 0:
		return "it is counted as one that keeps its server"
	}
	if !fit {
		h.pg.ends()
	}
	if n := len(c.writes); n > len(c.should) || !slices.Equal(c.writes, c.should[:n]) {
		return fmt.Sprintf("what was committed is %q, want a part of %q", c.writes, c.should)
	}
	if !fit {
		return ""
	}
	h.gone = nil
	if h.pg.taken != "" && h.pg.loads { // a library stays loaded
		h.pg.loads = false
	}
	return h.fault()
}

// failing is true if a stream has a Sync that is not right behind the Bind that fails.
func failing(stream []byte) bool {
	last, only := []byte(nil), true
	eachMessage(stream, func(m []byte, whole bool) {
		if m[0] == wire.Sync {
			only = only && bytes.Equal(last, failBatch[:len(failBatch)-wire.HeaderSize])
		}
		last = m
	})
	return !only
}
