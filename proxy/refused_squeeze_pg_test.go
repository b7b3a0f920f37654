//go:build pg

package proxy

import (
	"testing"
	"time"

	"pgguard/pool/limit"
	"pgguard/pool/queue"
)

// pressure is a way in which there is no room.
type pressure struct {
	name    string
	code    string
	set     func(*Config)
	hurries bool // nobody may wait for long, not even before
	crowded bool // somebody waits before the clients do
	cancels bool // they cancel what they wait for
}

func classes(wait time.Duration, length int) func(*Config) {
	return func(c *Config) {
		c.Pool.Classes = []queue.Class{{Name: "high", Weight: 1, MaxWait: wait, MaxLength: length, MaxShare: 1}}
		c.Rules = nil
	}
}

var pressures = []pressure{
	{name: "waited", hurries: true, code: "53300", set: classes(150*time.Millisecond, 1000)},
	{name: "queue full", code: "53400", set: classes(patience, 1), crowded: true},
	{name: "canceled", code: "57014", set: classes(patience, 1000), cancels: true},
}

// plenty is a limit that nobody meets.
const plenty = 1000

// squeeze is a guard that can be put under pressure.
type squeeze struct {
	*guard
	holder *speaker
	crowd  *speaker
}

func newSqueeze(t *testing.T, k kept, set func(*Config)) *squeeze {
	t.Helper()
	g := narrow(t, 60, func(c *Config) {
		c.Limit, c.MaxPinned = plenty, 100
		if k.mode != PoolModeDefault {
			c.Mode = k.mode
		}
		set(c)
	})
	sq := &squeeze{guard: g}
	sq.holder, _ = enter(t, g.addr)
	sq.crowd, _ = enter(t, g.addr)
	return sq
}

// warm opens n servers, so that nobody waits for one because the machine is slow.
func (sq *squeeze) warm(t *testing.T, n int) {
	t.Helper()
	var all []*speaker
	for range n {
		all = append(all, kept{name: "warm", state: queries("begin", "select 1")}.enter(t, sq.addr, "warm"))
	}
	for _, p := range all {
		p.leave()
	}
	sq.atRest(t)
}

// press takes the last room. Clients in the middle of a batch have no run token, as soon as that is found.
func (sq *squeeze) press(t *testing.T, crowded bool) {
	t.Helper()
	sq.holder.expect("begin; select 1", "C BEGIN; T ?column?:23:0; D 1; C SELECT 1; Z T") // what it does next waits for nothing
	eventually(t, "at rest", func() bool { return sq.pool().Running == 0 })
	sq.the(t).Pool.SetLimit(limit.Frozen(1))
	sq.holder.write(simple("select pg_sleep(1000)"))
	eventually(t, "full", func() bool { return sq.pool().Running == 1 })
	if crowded {
		sq.crowd.write(simple("select 1"))
		sq.waiting(t, 1)
	}
}

func (sq *squeeze) waiting(t *testing.T, n int) {
	t.Helper()
	eventually(t, "waiting", func() bool { return sq.Stats().Clients["waiting"] >= n })
}

// release makes more room than there was, so that no session is in another's way.
func (sq *squeeze) release(t *testing.T, crowded bool) {
	t.Helper()
	sq.the(t).Pool.SetLimit(limit.Frozen(plenty))
	for end := time.Now().Add(patience); ; { // a request may come before its statement
		if err := cancelWith(sq.addr, sq.holder.pid, sq.holder.key); err != nil {
			t.Fatal(err)
		}
		if sq.holder.hears('Z', 1, time.Now().Add(100*time.Millisecond)) {
			break
		}
		if time.Now().After(end) {
			dump(t, "the statement that takes the room cannot be canceled")
		}
	}
	sq.holder.lines()
	sq.holder.expect("rollback", "C ROLLBACK; Z I")
	if crowded {
		sq.crowd.read("Z")
		sq.crowd.lines()
	}
}
