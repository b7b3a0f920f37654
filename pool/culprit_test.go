package pool_test

import (
	"testing"
	"time"
)

func TestCulpritIsNamedOnceInTenSeconds(t *testing.T) {
	in(t, small(3), 4, func(t *testing.T, h *harness) {
		a, b := h.client("a"), h.client("b")
		h.stall([]*client{a, b})
		pass(4900 * time.Millisecond)
		if r := h.Culprit(a.has().Server, 3, time.Now()); r.Server != nil || r.Why != "none_idle" {
			t.Errorf("%+v before five seconds", r)
		}
		pass(200 * time.Millisecond)
		h.SetPinned(b.has())
		if r := h.Culprit(b.has().Server, 3, time.Now()); r.Server != nil {
			t.Errorf("%+v, that one keeps what it cannot lose", r)
		}
		if r := h.Culprit(a.has().Server, 3, time.Now()); r.Lease != a.has() || r.Why != "culprit" || r.Blocks != 3 {
			t.Errorf("%+v, want a", r)
		}
		if r := h.Culprit(a.has().Server, 3, time.Now()); r.Server != nil || r.Why != "under_way" {
			t.Errorf("%+v again at once", r)
		}
		pass(10 * time.Second)
		h.Busy(a.has(), 0, time.Now())
		if r := h.Culprit(a.has().Server, 3, time.Now()); r.Server != nil {
			t.Errorf("%+v, it runs a statement", r)
		}
	})
}
