//go:build pg

package proxy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy/instance"
	"pgguard/proxy/wire"
)

// the is the only instance of a guard.
func (g *guard) the(t *testing.T) *instance.Instance {
	t.Helper()
	all := g.allInstances()
	if len(all) != 1 {
		t.Fatalf("%d instances", len(all))
	}
	return all[0]
}

// tight returns a guard with one server, whose clients wait for it as long as it takes.
func tight(t *testing.T, set func(*Config)) *guard {
	t.Helper()
	return narrow(t, 1, func(c *Config) {
		c.Pool.Classes[0].Interactive, c.Pool.Classes[0].MaxWait = false, time.Minute
		if set != nil {
			set(c)
		}
	})
}

// pressed waits until the pool knows that somebody waits for a slot, and then reaps.
func (g *guard) pressed(t *testing.T) {
	t.Helper()
	eventually(t, "pressed", func() bool { return g.the(t).Pool.Reap(inAMinute(), nil).Why != "no_pressure" })
	g.reap(g.the(t), inAMinute())
}

// inAMinute is when an idle transaction of now may be reaped, if somebody waits until then.
func inAMinute() time.Time { return time.Now().Add(time.Minute) }

const reapedWords = "E SERROR VERROR C25P03 Mguard: the transaction did nothing while others waited, and was rolled back " +
	"HRun the whole transaction again, and keep what is slow out of it."

// A transaction that does nothing is rolled back for one that waits; its client is told by the answer to its next
// statement, and keeps its connection.
func TestIdleTransactionIsReapedUnderPressure(t *testing.T) {
	for _, next := range []struct{ text, want, after string }{
		{"select 2", reapedWords + "; Z E", "rollback"},
		{"commit", reapedWords + "; Z I", ""},
		{"rollback", "C ROLLBACK; Z I", ""},
	} {
		t.Run(next.text, func(t *testing.T) {
			g := tight(t, nil)
			setup, _ := enter(t, g.addr)
			setup.ask("drop table if exists reaped; create table reaped (a int)")
			idle, _ := enter(t, g.addr)
			idle.expect("begin; insert into reaped values (1)", "C BEGIN; C INSERT 0 1; Z T")
			g.reap(g.the(t), inAMinute())
			if n := len(reaps(g)); n != 0 {
				t.Fatalf("%d transactions were ended though nobody waits", n)
			}
			waiter, _ := enter(t, g.addr)
			waiter.write(textQuery("select count(*) from reaped"))
			g.pressed(t)
			waiter.read("Z")
			if got := strings.Join(waiter.lines(), "; "); !strings.Contains(got, "D 0;") {
				t.Errorf("who waited: %s, want an empty table", got)
			}
			idle.expect(next.text, next.want)
			if next.after != "" {
				idle.expect(next.after, "C ROLLBACK; Z I")
			}
			idle.expect("select 3 as three", "T three:23:0; D 3; C SELECT 1; Z I")
			list := reaps(g)
			if len(list) != 1 || list[0].Cause != "pressure" || list[0].Mode != event.Enforce || list[0].Evidence.Len() == 0 {
				t.Errorf("events %+v", list)
			}
		})
	}
}

func reaps(g *guard) (list []event.Event) {
	all, _ := g.Events(0)
	for _, e := range all {
		if e.Kind == event.Reap {
			list = append(list, e)
		}
	}
	return list
}

// What a session holds for its client (a lock) is not taken from it, however long it does nothing.
func TestPinnedTransactionIsNotReaped(t *testing.T) {
	g := tight(t, nil)
	holder, _ := enter(t, g.addr)
	holder.ask("select pg_advisory_lock(1)")
	holder.expect("begin; select 1 as one", "C BEGIN; T one:23:0; D 1; C SELECT 1; Z T")
	waiter, _ := enter(t, g.addr)
	waiter.write(textQuery("select 2"))
	g.pressed(t)
	holder.expect("commit", "C COMMIT; Z I")
	if n := len(reaps(g)); n != 0 {
		t.Errorf("%d transactions were ended", n)
	}
}

// One that must be left alone does not hide the next.
func TestPinnedTransactionHidesNoOther(t *testing.T) {
	g := narrow(t, 2, func(c *Config) {
		c.Pool.Classes[0].Interactive, c.Pool.Classes[0].MaxWait = false, time.Minute
	})
	holder, _ := enter(t, g.addr)
	holder.ask("select pg_advisory_lock(1)")
	holder.expect("begin; select 1 as one", "C BEGIN; T one:23:0; D 1; C SELECT 1; Z T")
	idle, _ := enter(t, g.addr)
	idle.expect("begin; select 1 as one", "C BEGIN; T one:23:0; D 1; C SELECT 1; Z T")
	waiter, _ := enter(t, g.addr)
	waiter.write(textQuery("select 2 as two"))
	g.pressed(t)
	g.reap(g.the(t), inAMinute())
	waiter.read("Z")
	idle.expect("select 2", reapedWords+"; Z E")
	holder.expect("commit", "C COMMIT; Z I")
}

// Who has gone on, and is held up by SUSPEND, is not idle, and hides no other.
func TestHeldUpTransactionIsNotReaped(t *testing.T) {
	g := narrow(t, 2, func(c *Config) {
		c.Pool.Classes[0].Interactive, c.Pool.Classes[0].MaxWait = false, time.Minute
	})
	held, _ := enter(t, g.addr)
	held.expect("begin; select 1 as one", "C BEGIN; T one:23:0; D 1; C SELECT 1; Z T")
	idle, _ := enter(t, g.addr)
	idle.expect("begin; select 1 as one", "C BEGIN; T one:23:0; D 1; C SELECT 1; Z T")
	waiter, _ := enter(t, g.addr)
	waiter.write(textQuery("select 2 as two"))
	eventually(t, "somebody waits", func() bool { return g.the(t).Pool.Stats().Classes[0].Waiting == 1 })
	suspended := make(chan error, 1)
	go func() { suspended <- suspend(g.Server) }()
	eventually(t, "the guard suspended", g.Suspended)
	held.write(textQuery("select 3 as three"))
	eventually(t, "a client held up", func() bool {
		return slices.ContainsFunc(g.all(), func(s *session) bool { return !s.isBusy() && s.heldUp.Load() })
	})
	g.pressed(t)
	g.reap(g.the(t), inAMinute())
	waiter.read("Z")
	if err := <-suspended; err != nil {
		t.Fatal(err)
	}
	if err := g.Resume(""); err != nil {
		t.Fatal(err)
	}
	held.read("Z")
	if got := strings.Join(held.lines(), "; "); !strings.Contains(got, "D 3;") {
		t.Errorf("who was held up: %s", got)
	}
	held.expect("commit", "C COMMIT; Z I")
	idle.expect("select 2", reapedWords+"; Z E")
}

// In observe mode it is only told, and once.
func TestObserveReapsNobody(t *testing.T) {
	g := tight(t, func(c *Config) { c.Observe = true })
	idle, _ := enter(t, g.addr)
	idle.expect("begin; select 1 as one", "C BEGIN; T one:23:0; D 1; C SELECT 1; Z T")
	waiter, _ := enter(t, g.addr)
	waiter.write(textQuery("select 2"))
	g.pressed(t)
	g.reap(g.the(t), inAMinute())
	idle.expect("commit", "C COMMIT; Z I")
	list := reaps(g)
	if len(list) != 1 || list[0].Mode != event.Observe {
		t.Errorf("events %+v, want one of mode observe", list)
	}
	if n := g.Stats().WouldRefuse[ReasonClass{string(ReasonReaped), "high"}]; n != 1 {
		t.Errorf("would_refuse_total counts %d", n)
	}
}

func textQuery(text string) []byte { return wire.AppendText(nil, wire.Query, text) }
