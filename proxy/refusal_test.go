package proxy

import (
	"bytes"
	"testing"

	"pgguard/pool"
)

// TestPressureHasItsOwnCodes reads the ErrorResponse that each refusal of the pool becomes.
func TestPressureHasItsOwnCodes(t *testing.T) {
	for reason, want := range map[string]string{"wait": "53300", "queue_full": "53400", "overload": "53400"} {
		r := refusalFor(&pool.RefusedError{Reason: reason, Class: "high"})
		out := r.append(nil, false)
		if string(r.Reason) != reason || r.Fatal() || !bytes.Contains(out, []byte("SERROR\x00")) || !bytes.Contains(out, []byte("C"+want+"\x00")) {
			t.Errorf("%s is answered %q as %s, want an ERROR %s", reason, out, r.Reason, want)
		}
	}
}
