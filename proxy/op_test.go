package proxy

import (
	"testing"

	"pgguard/proxy/wire"
)

// What a message means is unsettled as long as it depends on one sent before the last Sync, and no longer.
func TestOpsBeforeSyncAreUnsettled(t *testing.T) {
	st, other := &statement{name: "1"}, &statement{name: "2"}
	var e exchange
	e.reset()
	look := func(when string, names, unnamed, doubtful bool) {
		t.Helper()
		if got := [3]bool{e.unsettled(false), e.unsettled(true), e.doubtful(st)}; got != [3]bool{names, unnamed, doubtful} {
			t.Errorf("%s: names, unnamed statement, presence are unsettled: %v", when, got)
		}
	}
	e.extendedOp(markParse, op{name: "a", st: st})
	e.extendedOp(markParse, op{unnamed: true, is: other})
	look("in the same batch", false, false, false)
	e.client(wire.Sync)
	look("after the Sync", true, true, true)
	e.extendedOp(markParse, op{unnamed: true, is: st})
	look("with another unnamed statement in the next batch", true, true, true)
	if o := e.answered(wire.ParseComplete); o.st != st {
		t.Errorf("the answer confirms %+v", o)
	}
	look("with the name confirmed", false, false, false)
	if o := e.lastUnnamed(); o == nil || o.is != st {
		t.Errorf("the unnamed statement will be %+v", o)
	}
	undone, itself := e.failed()
	if len(undone) != 1 || undone[0].is != other || !itself {
		t.Errorf("the error undoes %+v, of the message itself: %t", undone, itself)
	}
	if o := e.lastUnnamed(); o == nil || o.is != st {
		t.Errorf("after an error before the Sync the unnamed statement will be %+v", o)
	}
	e.ready(wire.Idle)
	e.answered(wire.ParseComplete)
	look("with everything answered", false, false, false)
}

// A statement that is evicted and prepared again while the first of it is under way is there in the end, whatever fails.
func TestPresenceFollowsTheNewestOp(t *testing.T) {
	for _, fails := range []bool{false, true} {
		st := &statement{name: "1"}
		s, b := &session{}, &backend{}
		s.ex.reset()
		s.ex.extendedOp(markOurParse, op{st: st})
		s.ex.client(wire.Sync)
		s.ex.extendedOp(markOurClose, op{closes: st})
		s.ex.extendedOp(markOurParse, op{st: st})
		s.ex.client(wire.Sync)
		b.prepared.add(st)
		if fails {
			undone, itself := s.ex.failed()
			s.undoLocked(b, undone, itself)
		} else {
			b.confirmed(s, wire.ParseComplete)
		}
		if !b.prepared.has(st) {
			t.Errorf("first fails %t: forgotten while the newest op prepares it", fails)
		}
		s.ex.ready(wire.Idle)
		b.confirmed(s, wire.CloseComplete)
		b.confirmed(s, wire.ParseComplete)
		if !b.prepared.has(st) {
			t.Errorf("first fails %t: forgotten in the end", fails)
		}
	}
}
