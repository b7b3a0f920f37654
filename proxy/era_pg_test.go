//go:build pg

package proxy

import (
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// reported is what a client is told of a setting when it logs in.
func reported(t *testing.T, addr, user, database, name string) string {
	t.Helper()
	for _, line := range greeting(t, addr, wire.Version30, "user", user, "database", database) {
		if rest, ok := strings.CutPrefix(strings.ReplaceAll(line, "\x00", "|"), "S "+name+"|"); ok {
			return strings.TrimSuffix(rest, "|")
		}
	}
	return ""
}

// What a reload changes reaches who is here as it would directly, and is told to who logs in.
func TestReloadReachesOpenAndNewSessions(t *testing.T) {
	w := newWorld(t, nil)
	open, setter := w.app(t), w.app(t)
	open.does(t, "show timezone")
	setter.does(t, "set timezone = 'Asia/Tokyo'")
	setter.does(t, "set timezone = 'Asia/Tokyo'")
	if got := reported(t, w.addr, "app", "appdb", "TimeZone"); got == "Pacific/Tahiti" {
		t.Fatal("the test needs another zone")
	}
	w.do(t, "alter system set timezone = 'Pacific/Tahiti'", "alter system set statement_timeout = '77s'", "select pg_reload_conf()")
	within(t, 5*time.Second, "a new client is told", func() bool {
		return reported(t, w.addr, "app", "appdb", "TimeZone") == "Pacific/Tahiti"
	})
	again := w.app(t)
	for _, c := range []struct {
		p    *caller
		ask  string
		want string
	}{
		{open, "show timezone", "Pacific/Tahiti"}, {open, "show statement_timeout", "77s"},
		{setter, "show timezone", "Asia/Tokyo"}, {setter, "show statement_timeout", "77s"},
		{again, "show timezone", "Pacific/Tahiti"}, {again, "show statement_timeout", "77s"},
	} {
		if got := c.p.does(t, c.ask); got != c.want {
			t.Errorf("%s: %s, want %s", c.ask, got, c.want)
		}
	}
	setter.does(t, "reset timezone")
	if got := setter.does(t, "show timezone"); got != "Pacific/Tahiti" {
		t.Errorf("after RESET: %s", got)
	}
}

// After a promotion, who looks for a server that takes writes finds it.
func TestNewClientsAreToldOfAPromotion(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	if _, err := c.WriteFile("standby.signal", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart("fast"); err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, address(c), nil)
	admin := direct(t, c)
	open := g.call(t)
	open.does(t, "select 1")
	if got := reported(t, g.addr, "postgres", "postgres", "in_hot_standby"); got != "on" {
		t.Fatalf("a standby reports %q", got)
	}
	if got := admin.does(t, "select pg_promote()"); got != "t" {
		t.Fatalf("pg_promote: %s", got)
	}
	within(t, 5*time.Second, "a new client is told", func() bool {
		return reported(t, g.addr, "postgres", "postgres", "in_hot_standby") == "off"
	})
	open.does(t, "create table written (a int)")
}

// A login that finds all servers busy is told what was known last, and does not wait for long.
func TestLoginUnderLoadIsToldWhatWasKnown(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Pool.MaxServers = 1 })
	busy := w.app(t)
	busy.does(t, "begin")
	busy.does(t, "select 1")
	w.do(t, "alter system set timezone = 'Pacific/Tahiti'", "select pg_reload_conf()")
	in := w.the(t)
	was := in.Era()
	eventually(t, "seen", func() bool { return in.Era() != was })
	start := time.Now()
	if got := reported(t, w.addr, "app", "appdb", "TimeZone"); got == "" {
		t.Error("told nothing")
	}
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("the login took %s", d)
	}
	busy.does(t, "commit")
	if got := reported(t, w.addr, "app", "appdb", "TimeZone"); got != "Pacific/Tahiti" {
		t.Errorf("then it is told %s", got)
	}
}
