//go:build pg

package proxy

import (
	"strings"
	"testing"
)

// TestWhatNothingTakesBackEndsWithItsServer also where it is, or comes with, one pin too many: the client is told, keeps its connection, and has another server next; nobody else gets that one.
func TestWhatNothingTakesBackEndsWithItsServer(t *testing.T) {
	for name, text := range map[string]string{
		"a library alone": "load 'plpgsql'", "a seed alone": "select setseed(0.5)", "a seed in a transaction": "begin; select setseed(0.5); commit",
		"a library": "load 'plpgsql'; create temp table leftover (a int)", "a seed": "select setseed(0.5), pg_advisory_lock(11)",
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 2, func(c *Config) { c.MaxPinned = 1 })
			first, _ := enter(t, g.addr)
			first.expect("listen a", "C LISTEN; Z I")
			second := g.call(t)
			pid := second.one(t, "select pg_backend_pid()")
			a, err := second.query(text)
			if err != nil || a.code() != "53400" {
				t.Errorf("it is told %v %s", err, a)
			}
			if got := second.one(t, "select pg_backend_pid()"); got == pid {
				t.Error("its server is there for others")
			}
			if pins := g.Stats().Pinned; len(pins) != 1 {
				t.Errorf("pinned are %v", pins)
			}
			if got := strings.Join(first.ask("unlisten a"), "; "); got != "C UNLISTEN; Z I" {
				t.Error(got)
			}
			_ = second.Close()
			first.leave()
			g.atRest(t)
		})
	}
}
