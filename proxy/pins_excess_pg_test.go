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

// TestOnePinTooManyTakesNothingElse: who may not keep a server loses what it would have kept it for. What it has set and prepared moves, and is what it was.
func TestOnePinTooManyTakesNothingElse(t *testing.T) {
	for name, texts := range map[string][]string{
		"alone": {"listen b"}, "a temporary table": {"create temp table leftover (a int)"}, "with a setting": {"begin", "set work_mem = '5MB'", "listen b", "commit"},
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 3, func(c *Config) { c.MaxPinned = 1 })
			first, _ := enter(t, g.addr)
			first.expect("listen a", "C LISTEN; Z I")
			second, _ := enter(t, g.addr, "application_name", "me")
			second.play(append(queries("set work_mem = '5MB'", "set timezone = 'Asia/Tokyo'", "set application_name = 'other'", "prepare q as select 5"),
				say("Z", parse("s", "select 4"), msgSync), say("Z", parse("", "select 3"), msgSync)))
			var told []string
			for _, text := range texts {
				told = second.ask(text)
			}
			if got := strings.Join(told, "; "); !strings.Contains(got, "C53400") || strings.Contains(got, "S TimeZone") {
				t.Errorf("it is told %s", got)
			}
			second.expect("show work_mem", "T work_mem:25:0; D 5MB; C SHOW; Z I")
			second.expect("show timezone", "T TimeZone:25:0; D Asia/Tokyo; C SHOW; Z I")
			second.expect("show application_name", "T application_name:25:0; D other; C SHOW; Z I")
			second.expect("execute q", "T ?column?:23:0; D 5; C SELECT 1; Z I")
			compare(t, []string{"-- 0", "2", "D 4", "C SELECT 1", "Z I"}, second.play([]step{say("Z", bound("", "s"), execute("", 0), msgSync)}))
			second.expect("select count(*) from pg_listening_channels()", "T count:20:0; D 0; C SELECT 1; Z I")
			second.expect("select to_regclass('pg_temp.leftover')", "T to_regclass:2205:0; D NULL; C SELECT 1; Z I")
			second.leave()
			first.leave()
			g.atRest(t)
		})
	}
}
