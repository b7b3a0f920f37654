package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/config"
	"pgguard/proxy/config/pgbouncer"
)

// changing is a configuration that is changed, and what came of it.
type changing struct {
	*live
	log    bytes.Buffer
	mu     sync.Mutex
	events []event.Event
	limit  int   // what was applied last
	fails  error // what applying it says
}

func newChanging(t *testing.T, text string) (c *changing, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "pgguard.yaml")
	c = &changing{}
	write(t, file, text)
	serve := &serveCmd{Config: file}
	c.live = &live{path: file, read: serve.readAgain}
	first, err := c.read(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.begin(first, &c.log)
	c.apply = func(f *config.File) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.fails == nil {
			c.limit = int(f.Pool.Limit)
		}
		return c.fails
	}
	c.note = func(e event.Event) { c.events = append(c.events, e) }
	return c, file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte("upstream: postgres://app@db/app\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSetHoldsUntilReload: by our names and PgBouncer's, on top of one another; a wrong one leaves those before.
func TestSetHoldsUntilReload(t *testing.T) {
	c, file := newChanging(t, "pool: {limit: 5}\n")
	for _, a := range []struct {
		key, value, want string
	}{
		{"pool.limit", "7", "pool.limit: 5 -> 7 (at once)"}, {"default_pool_size", "3", "pool.max_servers_per_login: auto -> 3 (at once)"},
		{"admin.users", "ops, root", "admin.users: nothing -> ops, root (for clients to come)"}, {"pool.limit", "8", "pool.limit: 7 -> 8 (at once)"},
		{"pool.prepared_memory", "8", "pool.prepared_memory: 64 -> 8 (needs a restart)"},
	} {
		if got, err := c.assign("ops", a.key, a.value); err != nil || !slices.Contains(got, a.want) {
			t.Errorf("SET %s: %q, %v; want %s", a.key, got, err, a.want)
		}
	}
	for key, want := range map[string]string{
		"pool.limits": "there is none of that name", "databases.x.user": "change it in the file", "dns_max_ttl": "nothing here stands for it", "listen": "change it in the file",
	} {
		if _, err := c.assign("ops", key, "1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("SET %s: %v, want %s", key, err, want)
		}
	}
	if f := c.file(); f.Pool.Limit != 8 || f.Pool.MaxServersPerLogin != 3 || f.Pool.PreparedMemory != 64 || c.limit != 8 {
		t.Errorf("in effect is %+v", f.Pool)
	}
	write(t, file, "pool: {limit: 9}\n")
	changes, err := c.reload("SIGHUP")
	if got := lines(changes); err != nil || len(got) != 3 {
		t.Errorf("a reload changes %q, %v", got, err)
	}
	if f := c.file(); f.Pool.Limit != 9 || f.Pool.MaxServersPerLogin != 0 || len(f.Admin.Users) != 0 {
		t.Errorf("after it in effect is %+v", f)
	}
	if e := c.events[0]; e.Subject != "pool.limit" || e.From != "5" || e.To != "7" || e.By != "ops" || e.Kind != event.Setting {
		t.Errorf("the event is %+v", e)
	}
}

// TestWhatCannotBeAppliedChangesNothing, and is told.
func TestWhatCannotBeAppliedChangesNothing(t *testing.T) {
	c, file := newChanging(t, "pool: {limit: 5}\n")
	c.fails = errors.New("no such file")
	write(t, file, "pool: {limit: 6}\n")
	if _, err := c.reload("SIGHUP"); err == nil || c.file().Pool.Limit != 5 || !strings.Contains(c.log.String(), `nothing has changed" by=SIGHUP error="no such file"`) {
		t.Errorf("%v: %+v, %s", err, c.file().Pool, c.log.String())
	}
	c.fails = nil
	write(t, file, "pool: {limit: many}\n")
	if _, err := c.reload("ops"); err == nil || !strings.Contains(err.Error(), "pgguard.yaml:2:15: pool.limit") || c.file().Pool.Limit != 5 {
		t.Errorf("a broken file: %v", err)
	}
	if n := len(c.events); n != 2 || c.events[1].Cause != "refused" || c.events[1].By != "ops" {
		t.Errorf("events are %+v", c.events)
	}
}

// decided is a guard that has decided something.
type decided struct {
	guard
	events *[]event.Event
}

func (d decided) Events(uint64) ([]event.Event, uint64) { return slices.Clone(*d.events), 0 }

// refusing is a guard that takes no other configuration.
type refusing struct{ guard }

func (refusing) Reload(proxy.Config) error { return errors.New("no") }

// TestTokenOfARefusedConfigurationIsNone: who knows it may do nothing.
func TestTokenOfARefusedConfigurationIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := newChanging(t, "admin: {token_file: "+file+"}\n")
	if err := applyTo(refusing{}, nil, c.file(), c.live, nil); err == nil || c.token() != "" {
		t.Errorf("%v, and the token is %q", err, c.token())
	}
}

// TestFileIsReadWhenItHasChanged, if it says so.
func TestFileIsReadWhenItHasChanged(t *testing.T) {
	c, file := newChanging(t, "reload_on_change: true\npool: {limit: 5}\n")
	by := make(chan string, 1)
	stop := c.watch(func(who string) ([]string, error) { by <- who; return nil, nil })
	write(t, file, "reload_on_change: true\npool: {limit: 55}\n")
	select {
	case who := <-by:
		if who != "reload_on_change" {
			t.Errorf("it is read again for %s", who)
		}
	case <-time.After(20 * time.Second):
		t.Error("it is not read again")
	}
	stop()
	quiet, _ := newChanging(t, "")
	quiet.watch(nil)()
}

// theirs is the smallest configuration of PgBouncer's that serves.
const theirs = "[databases]\nshop = host=db\n[pgbouncer]\nlisten_addr = 127.0.0.1\nauth_type = scram-sha-256\nauth_user = app\n"

// newTheirs is newChanging in PgBouncer's place.
func newTheirs(t *testing.T, text string) (c *changing, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b, serve := &bouncerFlags{File: file}, &serveCmd{}
	c = &changing{live: &live{read: func(set []pgbouncer.Assignment) (*reading, error) {
		r, _, err := b.readAgain(serve, set)
		return r, err
	}}}
	c.apply, c.note = func(*config.File) error { return nil }, func(event.Event) {}
	first, err := c.read(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.begin(first, &c.log)
	return c, file
}

// TestSetUnderPgBouncersFile: a key of PgBouncer's that means nothing here is taken, and said to.
func TestSetUnderPgBouncersFile(t *testing.T) {
	c, _ := newTheirs(t, theirs)
	if got, err := c.assign("ops", "dns_max_ttl", "5"); err != nil || len(got) != 1 || !strings.Contains(got[0], "is looked up") {
		t.Errorf("SET dns_max_ttl: %q, %v", got, err)
	}
	if got, err := c.assign("ops", "pool_mode", "transaction"); err != nil || !slices.Contains(got, "pool.mode: session -> transaction (for clients to come)") {
		t.Errorf("SET pool_mode: %q, %v", got, err)
	}
	if got, err := c.assign("ops", "pool.limit", "4"); err != nil || len(got) != 1 || c.file().Pool.Mode != "transaction" {
		t.Errorf("SET pool.limit: %q, %v", got, err)
	}
	for _, s := range c.settings() {
		if s.Key == "pool_mode" && (s.Value != "transaction" || !s.Changeable) || s.Key == "listen_port" && s.Changeable || s.Key == "http" && s.Changeable {
			t.Errorf("%+v", s)
		}
	}
}

// TestWhatPgBouncersFileSaysOfTheProcessStays until a restart, and what has changed there is said; SHOW CONFIG shows what is in effect.
func TestWhatPgBouncersFileSaysOfTheProcessStays(t *testing.T) {
	c, file := newTheirs(t, theirs+"listen_port = 6432\nlogfile = /a.log\npidfile = /a.pid\nquery_wait_timeout = 5\n")
	if err := os.WriteFile(file, []byte(theirs+"listen_port = 6433\nlogfile = /b.log\nquery_wait_timeout = 6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		changes, err := c.reload("SIGHUP")
		for _, want := range []string{"logfile: /a.log -> /b.log (needs a restart)", "pidfile: /a.pid -> nothing (needs a restart)"} {
			if got := lines(changes); err != nil || !slices.Contains(got, want) {
				t.Errorf("a reload changes %q, %v; want %s", got, err, want)
			}
		}
		want := map[string]string{"listen_port": "6432", "logfile": "/a.log", "pidfile": "/a.pid", "query_wait_timeout": "6"}
		for _, s := range c.settings() {
			if value, ok := want[s.Key]; ok && s.Value != value {
				t.Errorf("%s is shown as %s, want %s", s.Key, s.Value, value)
			}
		}
	}
	if !strings.Contains(c.log.String(), "the old value stays") {
		t.Errorf("the log is %s", c.log.String())
	}
}

// TestUsersAreShownToWhoHasTheToken alone: where none is asked for, neither the page nor an event names users, or the rules by which they come in; a comparison says that it lacks them.
func TestUsersAreShownToWhoHasTheToken(t *testing.T) {
	who := "auth: {method: scram-sha-256, users: {ann: {password: x}}, rules: [{address: 10.9.8.0/24, method: reject}]}\nadmin: {users: [carl]}\nusers: {dora: {max_servers: 3}}\n"
	c, file := newChanging(t, who+"pool: {limit: 5}\n")
	write(t, file, strings.ReplaceAll(who, "3", "4")+"pool: {limit: 6}\n")
	names := []string{"ann", "10.9.8", "carl", "dora"}
	pages := &service{live: c.live, guard: decided{events: &c.events}}
	shown := func() string {
		events, _ := pages.events(0)
		text, err := json.Marshal([]any{c.page(), events})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if _, err := c.reload("ops"); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if got := shown(); strings.Contains(got, name) {
			t.Errorf("without a token %s is shown: %s", name, got)
		}
	}
	if got := shown(); !strings.Contains(got, `"hidden":["admin.stats_users","admin.users","auth.query_user","auth.rules","auth.users"`) || !strings.Contains(got, `"key":"pool.limit","value":"6"`) {
		t.Errorf("without a token: %s", got)
	}
	token, none := "secret", ""
	c.known.Store(&token)
	for _, name := range names {
		if got := shown(); !strings.Contains(got, name) || strings.Contains(got, "hidden") {
			t.Errorf("to who knows the token %s is not shown: %s", name, got)
		}
	}
	if got := shown(); !strings.Contains(got, `"subject":"users.dora.max_servers"`) {
		t.Errorf("to who knows the token a change from before is not shown: %s", got)
	}
	c.known.Store(&none)
	for _, name := range names {
		if got := shown(); strings.Contains(got, name) {
			t.Errorf("when no token is asked for any more %s is shown: %s", name, got)
		}
	}
}

// TestTokenIsReadForPagesAlone: where there are none, a file that cannot be read stops no reload.
func TestTokenIsReadForPagesAlone(t *testing.T) {
	for http, fails := range map[string]bool{"off": false, "127.0.0.1:0": true} {
		c, file := newChanging(t, "http: \""+http+"\"\n")
		c.apply = func(f *config.File) error { return applyTo(&fakeGuard{}, nil, f, c.live, nil) }
		write(t, file, "http: \""+http+"\"\nadmin: {token_file: /absent}\n")
		if _, err := c.reload("ops"); (err != nil) != fails {
			t.Errorf("http: %s: %v", http, err)
		}
	}
}

// TestSetSaysWhereElseAKeyIsChanged, of everything that a configuration has.
func TestSetSaysWhereElseAKeyIsChanged(t *testing.T) {
	for key, want := range map[string]string{
		"listen": "change it in the file", "classes": "change it in the file", "auth.rules": "change it in the file", "databases": "change it in the file", "pool": "change it in the file",
		"upstream_password.command": "change it in the file", "classes[0].weight": "change it in the file", "nonsense": "there is none", "poo": "there is none", "listen.": "there is none",
	} {
		if _, err := own([]pgbouncer.Assignment{{Key: key, Value: "1"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", key, err, want)
		}
	}
}
