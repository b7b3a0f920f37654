package proxy

import (
	"bytes"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"pgguard/pool"
)

// TestPressureHasItsOwnCodes reads the ErrorResponse that each refusal of the pool becomes.
func TestPressureHasItsOwnCodes(t *testing.T) {
	for reason, want := range map[string]string{"wait": "53300", "queue_full": "53400", "overload": "53400", "too_late": "53400"} {
		r := refusalFor(&pool.RefusedError{Reason: reason, Class: "high"})
		out := r.append(nil, false)
		if string(r.Reason) != reason || r.Fatal() || !bytes.Contains(out, []byte("SERROR\x00")) || !bytes.Contains(out, []byte("C"+want+"\x00")) {
			t.Errorf("%s is answered %q as %s, want an ERROR %s", reason, out, r.Reason, want)
		}
	}
}

// TestRefusalSaysWhenToTryAgain: where the wait is known the hint has a time, in whole seconds and not sooner, and the detail the wait.
func TestRefusalSaysWhenToTryAgain(t *testing.T) {
	for _, reason := range []string{"wait", "queue_full", "overload", "too_late"} {
		e := &pool.RefusedError{Reason: reason, Class: "high", Expected: 1400 * time.Millisecond, InTime: time.Second}
		out := refusalFor(e).append(nil, false)
		for _, part := range []string{"H" + hintSafe + " Try again in 2 s.\x00", " expected_wait=1400ms\x00"} {
			if !bytes.Contains(out, []byte(part)) {
				t.Errorf("%s is answered %q, want %q in it", reason, out, part)
			}
		}
		e.Expected = 0
		if out := refusalFor(e).append(nil, false); !bytes.Contains(out, []byte("H"+hintSafe+"\x00")) || bytes.Contains(out, []byte("expected")) {
			t.Errorf("%s is answered %q, where the wait is not known", reason, out)
		}
	}
}

// TestStatementIsToldWhyTheDatabaseIsAway: with the breaker open, as far as a client may know it.
func TestStatementIsToldWhyTheDatabaseIsAway(t *testing.T) {
	why := &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3)}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	out := refusalFor(&pool.UnreachableError{Err: why}).append(nil, false)
	if !bytes.Contains(out, []byte("DNobody listens where the guard looks for the database. The guard tries again")) || bytes.Contains(out, []byte("10.1.2.3")) {
		t.Errorf("answered %q", out)
	}
	if out := refusalFor(&pool.UnreachableError{Err: errors.New("x")}).append(nil, false); !bytes.Contains(out, []byte("DThe guard tries again")) {
		t.Errorf("of what nobody knows: %q", out)
	}
}
