//go:build pg

package witness_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
	"pgguard/proxy/witness"
)

// scene is a PostgreSQL, a guard before it, and a witness of both.
type scene struct {
	t      *testing.T
	db     *pgtest.Cluster
	server *proxy.Server
	addr   string
	see    *witness.Witness
	log    *text
}

// text is a log.
type text struct {
	mu  sync.Mutex
	all strings.Builder // guarded by mu
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// open starts all three; they end with the test.
func open(t *testing.T, o pgtest.Options, set func(*proxy.Config)) *scene {
	t.Helper()
	return behind(t, pgtest.New(t, o), "", set)
}

// behind is open for a cluster that there is, reached at addr, or directly.
func behind(t *testing.T, db *pgtest.Cluster, addr string, set func(*proxy.Config)) *scene {
	t.Helper()
	url := db.URL("postgres")
	if addr != "" {
		url = strings.Replace(url, fmt.Sprintf("%s:%d", db.Host(), db.Port()), addr, 1)
	}
	up, err := upstream.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	sc := &scene{t: t, db: db, log: &text{}}
	cfg := proxy.Default()
	cfg.Listen = []proxy.Listener{{Addr: "127.0.0.1:0"}}
	cfg.Upstream = up
	cfg.Log = slog.New(slog.NewTextHandler(sc.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if set != nil {
		set(&cfg)
	}
	if sc.server, err = proxy.New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := sc.server.Listen(); err != nil {
		t.Fatal(err)
	}
	sc.addr = sc.server.Addrs()[0].String()
	sc.see = witness.New(witness.Config{Guard: sc.server, Log: cfg.Log})
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = sc.server.Serve(ctx) })
	work.Go(func() { sc.see.Run(ctx, func(*witness.Frame) {}) })
	t.Cleanup(func() { stop(); work.Wait(); _ = sc.server.Close() })
	return sc
}

// enter logs a client in through the guard.
func (sc *scene) enter(application string) *pgx.Conn {
	sc.t.Helper()
	return sc.connect("postgres://"+sc.addr+"/postgres?user="+sc.user()+"&sslmode=disable", application)
}

func (sc *scene) user() string {
	cfg, err := pgx.ParseConfig(sc.db.URL("postgres"))
	if err != nil {
		sc.t.Fatal(err)
	}
	return cfg.User
}

func (sc *scene) connect(url, application string) *pgx.Conn {
	sc.t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		sc.t.Fatal(err)
	}
	cfg.RuntimeParams["application_name"] = application
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		sc.t.Fatal(err)
	}
	sc.t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		_ = c.Close(ctx)
	})
	return c
}

// run runs statements, one after the other.
func (sc *scene) run(c *pgx.Conn, texts ...string) {
	sc.t.Helper()
	for _, text := range texts {
		if _, err := c.Exec(context.Background(), text); err != nil {
			sc.t.Fatalf("%s: %v", text, err)
		}
	}
}

// awaits waits for a verdict, and returns it.
func (sc *scene) awaits(within time.Duration, state diagnosis.State) diagnosis.Verdict {
	sc.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		v := sc.see.Verdict()
		if v.State == state {
			return v
		}
		if time.Now().After(end) {
			sc.t.Fatalf("still not %s but %s: %s\n%s", state, v.State, v.Sentence, sc.log)
		}
	}
}

// TestVerdictTellsARefusedLoginFromADeadServer: who has given a wrong user is not sent to look for a server that is down.
func TestVerdictTellsARefusedLoginFromADeadServer(t *testing.T) {
	sc := open(t, pgtest.Options{}, func(cfg *proxy.Config) { cfg.Upstream.User = "nobody_here" })
	v := sc.awaits(time.Minute, diagnosis.Down)
	if !strings.Contains(v.Sentence, "does not let pgguard in") || !strings.Contains(v.Advice, "Correct the user, password or database") {
		t.Errorf("%s %s", v.Sentence, v.Advice)
	}
}

// TestDatabaseThatServesClientsIsNotCalledDown where it does not let the guard itself in: that is said, and pages say that clients can be served.
func TestDatabaseThatServesClientsIsNotCalledDown(t *testing.T) {
	sc := open(t, pgtest.Options{}, func(cfg *proxy.Config) { cfg.Upstream.User = "nobody_here" })
	sc.awaits(time.Minute, diagnosis.Down)
	sc.run(sc.enter("shop"), "select 1")
	v := sc.awaits(time.Minute, diagnosis.Calm)
	if !strings.Contains(v.Sentence, "nobody_here") || !strings.Contains(v.Advice, "Correct the user, password or database") {
		t.Errorf("%s %s", v.Sentence, v.Advice)
	}
	if st := sc.server.Stats().Pools[0]; !st.Up || st.Blind == nil {
		t.Errorf("up is %v, blind %v", st.Up, st.Blind)
	}
	if err := sc.server.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// TestDatabaseThatIsTakenAway: a PostgreSQL that is down, and that a reload takes out of the configuration, is not told of any more, and its incident is over.
func TestDatabaseThatIsTakenAway(t *testing.T) {
	old := pgtest.New(t, pgtest.Options{})
	at, err := upstream.Parse(old.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	sc := open(t, pgtest.Options{}, func(cfg *proxy.Config) { cfg.Databases = map[string]proxy.Database{"old": {Upstream: at}} })
	c := sc.connect("postgres://"+sc.addr+"/old?user="+sc.user()+"&sslmode=disable", "last")
	sc.run(c, "select 1")
	if err := old.Shutdown("immediate"); err != nil {
		t.Fatal(err)
	}
	sc.awaits(time.Minute, diagnosis.Down)
	cfg := sc.server.Config()
	cfg.Databases = nil
	if err := sc.server.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	_ = c.Close(context.Background())
	sc.awaits(time.Minute, diagnosis.Calm)
	list := sc.see.Incidents()
	if len(list) != 1 || list[0].End.IsZero() {
		t.Errorf("incidents: %+v", list)
	}
	if err := sc.server.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// TestVerdictNamesWhoHoldsWhatOthersWaitFor: a client whose name is made to break pages and terminals leaves a transaction open; others wait
// for its row. The verdict names it, as text, and its statement without what is in it; the change is an event and a line in the log.
func TestVerdictNamesWhoHoldsWhatOthersWaitFor(t *testing.T) {
	sc := open(t, pgtest.Options{}, nil)
	name := "<script>alert(1)</script>\x1b[2J" + strings.Repeat("x", 9_000)
	holder := sc.enter(name)
	sc.run(holder, "create table stock as select 1 as id, 0 as n", "begin", "update stock set n = 4711 where id = 1 /*job='PushWorker'*/")
	if v := sc.see.Verdict(); !v.State.Healthy() {
		t.Errorf("before anybody waits: %+v", v)
	}
	var work sync.WaitGroup
	for range 8 {
		c := sc.enter("puma")
		work.Go(func() { _, _ = c.Exec(context.Background(), "update stock set n = n + 1 where id = 1") })
	}
	v := sc.awaits(30*time.Second, diagnosis.Locks)
	if v.Culprit.Tags["job"] != "PushWorker" || v.Culprit.Statement != "update stock" || v.Culprit.PID == 0 || v.Culprit.Waiters < 3 ||
		!strings.HasPrefix(v.Culprit.Application, "<script>alert(1)</script>?[2Jxxx") || len(v.Culprit.Application) > 70 || strings.Contains(v.Sentence, "4711 ") {
		t.Errorf("%+v", v)
	}
	if !strings.Contains(v.Sentence, "PushWorker") || v.Advice == "" || v.Confidence < 0.5 {
		t.Errorf("%q %q", v.Sentence, v.Advice)
	}
	events, _ := sc.server.Events(0)
	told := false
	for _, e := range events {
		told = told || e.Kind == event.Verdict && e.To == "locks"
	}
	if !told || !strings.Contains(sc.log.String(), "msg=verdict") || strings.Contains(sc.log.String(), "\x1b") {
		t.Errorf("events %+v\nlog %s", events, sc.log)
	}
	work.Wait() // the guard ends the transaction that does nothing
	sc.awaits(60*time.Second, diagnosis.Calm)
}
