package proxy

import (
	"errors"
	"testing"
	"time"
)

// TestWordsOfPgBouncer are used in its place, and nowhere else.
func TestWordsOfPgBouncer(t *testing.T) {
	for like, want := range map[bool][2]string{
		false: {"client not admitted", "guard: there is no such database"},
		true:  {"closing because: wrong (age=0s)", "no such database: shop"},
	} {
		srv := &Server{}
		srv.conf.Store(&Config{LikePgBouncer: like})
		if got := srv.farewell("client not admitted", errorWords(errors.New("wrong")), time.Now()); got != want[0] {
			t.Errorf("the log says %q, want %q", got, want[0])
		}
		r := srv.noSuchDatabase("shop")
		if r.Message != want[1] || errorWords(r) != want[1] {
			t.Errorf("the client is told %q, want %q", r.Message, want[1])
		}
	}
}
