package console

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// did takes what operators have done.
func (g *fakeGuard) did() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	done := g.done
	g.done = nil
	return done
}

// words are the commands that change something, as they are given.
func words() []string {
	all := []string{"set max_clients = 1", "set \"max_clients\" to '1'", "shutdown wait_for_servers", "shutdown wait_for_clients"}
	for verb, c := range changes {
		all = append(all, verb)
		if c.form == nil {
			all = append(all, verb+" app")
		}
	}
	return all
}

// TestStatsUserChangesNothing by any command, in either protocol.
func TestStatsUserChangesNothing(t *testing.T) {
	g := world()
	address := desk(t, g)
	for _, command := range words() {
		k, _ := call(t, "tcp", address, "exporter", "pgbouncer")
		want := "error ERROR ERROR 08P01: admin access needed; ready I"
		if got := strings.Join(k.ask(t, command), "; "); got != want {
			t.Errorf("%s: %s", command, got)
		}
		k.send(t, &pgproto3.Parse{Query: command}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
		if got := last(k.hear(t)); got != want {
			t.Errorf("%s, by the extended protocol: %s", command, got)
		}
		_ = k.nc.Close()
		if done := g.did(); len(done) != 0 || len(g.paused) != 0 {
			t.Fatalf("%s has done %q, paused %v", command, done, g.paused)
		}
	}
}

// TestEveryChangeIsAnEvent with who and what.
func TestEveryChangeIsAnEvent(t *testing.T) {
	g := world()
	k, _ := call(t, "tcp", desk(t, g), "ops", "pgbouncer")
	for command, want := range map[string][]string{
		"Pause app": {"pause app by ops"}, "resume app": {"resume app by ops"}, "kill_client 1": {"kill_client 1 by ops"}, "reconnect": {"reconnect all by ops"},
		"disable \"app\";": {"disable app by ops"}, "enable app": {"enable app by ops"}, "reload": {"reload all by ops"}, "wait_close": nil, "show pools": nil,
		"shutdown": {"shutdown all by ops", "end now by "}, "shutdown WAIT_FOR_CLIENTS": {"shutdown WAIT_FOR_CLIENTS by ops", "end for clients by "},
		"shutdown wait_for_servers": {"shutdown wait_for_servers by ops", "end for servers by "},
	} {
		k.ask(t, command)
		if got := g.did(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

func TestReloadThatFailsSaysSo(t *testing.T) {
	g := world()
	g.broken = errors.New("no such file")
	k, _ := call(t, "tcp", desk(t, g), "ops", "pgbouncer")
	if got := last(k.ask(t, "reload")); got != "error ERROR ERROR F0000: RELOAD failed, see logs for additional details; ready I" {
		t.Errorf("it says %s", got)
	}
}

// TestPauseEndsWithItsOperator: who cancels it has it undone, who leaves has it stay, and neither waits.
func TestPauseEndsWithItsOperator(t *testing.T) {
	g := world()
	g.settled = make(chan struct{})
	address := desk(t, g)
	k, _ := call(t, "tcp", address, "ops", "pgbouncer")
	await := func(paused bool) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			g.mu.Lock()
			is := g.paused["app"]
			g.mu.Unlock()
			if is == paused {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("paused is %v", is)
			}
		}
	}
	k.send(t, &pgproto3.Query{String: "pause app"})
	await(true)
	g.Operators()[0].Canceled <- struct{}{}
	if got := last(k.hear(t)); got != "error ERROR ERROR 57014: canceling statement due to user request; ready I" {
		t.Errorf("who cancels is told %s", got)
	}
	await(false)
	k.send(t, &pgproto3.Query{String: "pause app"}, &pgproto3.Query{String: "show state"})
	await(true)
	close(g.settled)
	if got := last(k.hear(t)); got != "tag PAUSE; ready I" {
		t.Errorf("when it is done he is told %s", got)
	}
	if got := k.hear(t); got[len(got)-1] != "ready I" || !slices.Contains(got, "row paused|no") {
		t.Errorf("the command behind it is told %q", got)
	}
	g.settled = make(chan struct{})
	_ = g.Resume("app")
	k.send(t, &pgproto3.Query{String: "pause app"})
	await(true)
	_ = k.nc.Close()
	for end := time.Now().Add(patience); len(g.Operators()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("an operator who has left still waits")
		}
	}
	await(true)
}

// TestSuspendEndsWithItsOperator: RESUME ends it, and the end of whoever has suspended; not that of another who could not, or whose own has ended.
func TestSuspendEndsWithItsOperator(t *testing.T) {
	g := world()
	address := desk(t, g)
	k, _ := call(t, "tcp", address, "ops", "pgbouncer")
	other, _ := call(t, "tcp", address, "ops", "pgbouncer")
	for _, step := range []struct {
		by            *talk
		command, want string
	}{
		{k, "pause app", "tag PAUSE; ready I"},
		{k, "suspend", "error ERROR ERROR 08P01: cannot suspend with paused databases; ready I"},
		{k, "resume app", "tag RESUME; ready I"},
		{k, "suspend", "tag SUSPEND; ready I"},
		{other, "suspend", "error ERROR ERROR 08P01: already suspended/paused; ready I"},
		{other, "resume", "tag RESUME; ready I"},
		{other, "suspend", "tag SUSPEND; ready I"},
		{k, "resume", "tag RESUME; ready I"},
		{k, "suspend", "tag SUSPEND; ready I"},
	} {
		if got := last(step.by.ask(t, step.command)); got != step.want {
			t.Fatalf("%s: %s, want %s", step.command, got, step.want)
		}
	}
	_ = other.nc.Close()
	for end := time.Now().Add(patience); len(g.Operators()) > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("an operator who has left is still there")
		}
	}
	if got := k.ask(t, "show state"); !slices.Contains(got, "row suspended|yes") || !slices.Contains(got, "row active|no") {
		t.Errorf("the state is %q", got)
	}
	_ = k.nc.Close()
	for end := time.Now().Add(patience); g.Suspended(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("suspended, though whoever did it has left")
		}
	}
}

// TestReloadAndSetTellWhatTheyChange in notices, ahead of their tags.
func TestReloadAndSetTellWhatTheyChange(t *testing.T) {
	g := world()
	g.changes = []string{"pool.limit: 10 -> 20 (at once)"}
	k, _ := call(t, "tcp", desk(t, g), "ops", "pgbouncer")
	const notice = `notice NOTICE 00000: pool.limit: 10 -> 20 (at once) ""; `
	for command, want := range map[string]string{
		"reload":                                     notice + "tag RELOAD; ready I",
		"SET max_clients = 9":                        notice + "tag SET max_clients=9; ready I",
		"SET pool.limit = 9":                         notice + "tag SET pool.limit=9; ready I",
		"SET pool.idle_timeout to 1.5s":              notice + "tag SET pool.idle_timeout=1.5s; ready I",
		"SET upstream = 'postgres://a:hunter2@h/x'":  notice + "tag SET upstream=***; ready I",
		"SET upstream = 'host=h PassWord = hunter2'": notice + "tag SET upstream=***; ready I",
		"SET upstream = postgres://a:hunter2@h/x":    "error ERROR ERROR 08P01: invalid command 'SET upstream = postgres***', use SHOW HELP;; ready I",
		"SET upstream = 'host=h password=hunter2":    "error ERROR ERROR 08P01: invalid command 'SET upstream = 'host=h password***', use SHOW HELP;; ready I",
		"set nothing = 'x'":                          "error ERROR ERROR 08P01: SET failed; ready I",
	} {
		if got := strings.Join(k.ask(t, command), "; "); got != want {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
	}
	if got := g.did(); !slices.Contains(got, "set max_clients=9 by ops") {
		t.Errorf("what is done is %q", got)
	}
}
