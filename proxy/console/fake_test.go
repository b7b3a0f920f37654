package console

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/instance"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// fakeGuard has what the test gives it.
type fakeGuard struct {
	clients   []proxy.ClientInfo
	servers   []proxy.ServerInfo
	databases []proxy.DatabaseInfo
	stats     proxy.Stats
	events    []event.Event
	prints    []proxy.Print
	cfg       proxy.Config

	broken  error         // what a reload, and a SET, say
	changes []string      // what they have changed
	settled chan struct{} // Pause waits for it; nil: it does not

	mu        sync.Mutex
	paused    map[string]bool   // guarded by mu
	suspended uint64            // guarded by mu: the number of the suspension under way
	suspends  uint64            // guarded by mu: ever
	done      []string          // guarded by mu: what operators did
	operators []*proxy.Operator // guarded by mu
}

func (g *fakeGuard) ClientList() []proxy.ClientInfo  { return g.clients }
func (g *fakeGuard) ServerList() []proxy.ServerInfo  { return g.servers }
func (g *fakeGuard) Databases() []proxy.DatabaseInfo { return g.databases }
func (g *fakeGuard) UserNames() []string             { return []string{"app", "ops"} }
func (g *fakeGuard) Statements() map[string][]proxy.Print {
	return map[string][]proxy.Print{"db:5432": slices.Clone(g.prints)}
}
func (g *fakeGuard) Logins() int                           { return 3 }
func (g *fakeGuard) Config() proxy.Config                  { return g.cfg }
func (g *fakeGuard) Stats() proxy.Stats                    { return g.stats }
func (g *fakeGuard) Events(uint64) ([]event.Event, uint64) { return g.events, 0 }

func (g *fakeGuard) Tell(e event.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done = append(g.done, e.Cause+" "+e.Subject+" by "+e.By)
}

func (g *fakeGuard) Paused() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.paused[""]
}

func (g *fakeGuard) Suspended() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.suspended != 0
}

func (g *fakeGuard) Suspend(context.Context) (uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.paused[""] || g.suspended != 0:
		return 0, proxy.ErrPaused
	case g.paused["app"]:
		return 0, proxy.ErrSomePaused
	}
	g.suspends++
	g.suspended = g.suspends
	return g.suspended, nil
}

func (g *fakeGuard) Lift(number uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if number == 0 || number != g.suspended {
		return false
	}
	g.suspended = 0
	return true
}

// find is nil if there is such a database.
func (g *fakeGuard) find(name string) error {
	if name == "" || name == "app" {
		return nil
	}
	return proxy.ErrNoDatabase
}

// mark notes that a database is paused, or not.
func (g *fakeGuard) mark(name string, paused bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.find(name) != nil:
		return proxy.ErrNoDatabase
	case g.paused[name] == paused && !paused:
		return proxy.ErrNotPaused
	}
	if g.paused == nil {
		g.paused = map[string]bool{}
	}
	g.paused[name] = paused
	return nil
}

func (g *fakeGuard) Pause(ctx context.Context, name string) error {
	if err := g.mark(name, true); err != nil || g.settled == nil {
		return err
	}
	select {
	case <-g.settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *fakeGuard) Resume(name string) error {
	if name == "" && g.Suspended() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.suspended = 0
		return nil
	}
	return g.mark(name, false)
}
func (g *fakeGuard) Disable(name string, _ bool) error        { return g.find(name) }
func (g *fakeGuard) Reconnect(name string) (n int, err error) { return 0, g.find(name) }
func (g *fakeGuard) AwaitRetired(_ context.Context, name string) error {
	return g.find(name)
}
func (g *fakeGuard) KillClient(id uint64) bool { return id == 1 }

func (g *fakeGuard) Kill(name string) error {
	if g.Paused() {
		return proxy.ErrPaused
	}
	return g.mark(name, true)
}

func (g *fakeGuard) Listeners() []proxy.ListenerInfo {
	return []proxy.ListenerInfo{{Addr: tcp("127.0.0.1", 6432), FD: 7}}
}

func (g *fakeGuard) Operators() []*proxy.Operator {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*proxy.Operator(nil), g.operators...)
}

func tcp(host string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(host), Port: port} }

// world is a guard with one of everything.
func world() *fakeGuard {
	at := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	db := upstream.Upstream{Host: "db", Port: 5432}
	conn := func(port int) proxy.ConnInfo {
		return proxy.ConnInfo{Local: tcp("127.0.0.1", 6432), Remote: tcp("10.0.0.1", port), FD: port, TLS: "TLS 1.3/TLS_AES_128_GCM_SHA256"}
	}
	g := &fakeGuard{cfg: proxy.Default()}
	g.cfg.Admin.Users = []string{"ops"}
	g.databases = []proxy.DatabaseInfo{{
		Name: "app", Real: "real", Upstream: db, Mode: proxy.PoolModeTransaction, Clients: 2,
		Totals: proxy.Totals{Queries: 10, Transactions: 5, QueryTime: time.Second, TransactionTime: 2 * time.Second, WaitTime: time.Millisecond, Received: 100, Sent: 2_000_000_000_000},
	}}
	g.clients = []proxy.ClientInfo{
		{ID: 1, User: "app", Database: "app", State: "active", Replication: "none", Conn: conn(1), Since: at, Asked: at.Add(time.Second), Server: 3, ApplicationName: "puma",
			Pins: "temp_table,listen", Pinned: at, Prepared: 4},
		{ID: 2, User: "app", Database: "app", State: "waiting", Replication: "none", Conn: conn(2), Since: at, Waited: 1500 * time.Millisecond},
	}
	g.servers = []proxy.ServerInfo{
		{ID: 3, Upstream: "db:5432", User: "app", Database: "real", State: pool.Lent, PID: 77, Conn: conn(3), Began: at, Since: at, Client: 1, ClientDatabase: "app"},
		{ID: 4, Upstream: "db:5432", User: "app", Database: "real", State: pool.Idle, PID: 78, Conn: conn(4), Began: at, Since: at},
		{Upstream: "db:5432", User: "app", Database: "real", State: pool.Opening, Began: at, Conn: proxy.ConnInfo{FD: -1}},
	}
	g.stats = proxy.Stats{Pools: []instance.Stats{{Name: "db:5432", Breaker: "closed", Up: true, Stats: pool.Stats{
		Cap: 80, Limit: 8, Running: 2, Servers: map[string]int{"idle": 1, "active": 1}, Down: errors.New("refused"),
		Classes: []pool.ClassStats{{Name: "high", Waiting: 1, Oldest: 1500 * time.Millisecond, Slots: 1}},
	}}}}
	g.events = []event.Event{{Seq: 1, Time: at, Kind: event.Limit, Subject: "db:5432", Cause: "growing", From: "7", To: "8", Mode: event.Enforce,
		Evidence: event.Evidence{}.With("elasticity", 0.5)}}
	g.prints = []proxy.Print{{Index: 1, Fingerprint: 0xabc, Named: instance.Named{Called: "select items", Query: "select * from items where id = $1"}, Calls: 4, Took: time.Second, Waited: time.Millisecond, Blocked: 1, BlockedTook: 500 * time.Millisecond}}
	return g
}

// wrong and happened are what operators are shown of what is wrong and was.
var (
	wrong = []diagnosis.Verdict{
		{
			State: diagnosis.Locks, Cause: "lock_holder", Sentence: "11 statements wait.", Advice: "End it.", Since: time.Unix(1e9, 0), Confidence: 0.9,
			Database: "db:5432", Culprit: diagnosis.Culprit{Query: "update stock set n = $1", Application: "PushWorker"},
		},
		{State: diagnosis.Calm, Cause: "calm", Sentence: "Nothing is wrong.", Confidence: 1, Database: "other:5432"},
	}
	happened = []diagnosis.Incident{
		{
			Number: 2, Database: "db:5432", Begin: time.Unix(1e9, 0), State: diagnosis.Locks, Cause: "lock_holder", Sentence: "11 statements wait.",
			Advice: "End it.", Culprit: diagnosis.Culprit{Application: "PushWorker"}, Peak: diagnosis.Peak{Waiting: 11, OldestSeconds: 1.5},
			Refused: map[string]map[string]uint64{"web": {"wait": 2, "overload": 1}, "jobs": {"wait": 4}},
		},
		{Number: 1, Database: "db:5432", Begin: time.Unix(9e8, 0), End: time.Unix(9e8+60, 0), State: diagnosis.Down, Cause: "refused", Sentence: "It was down."},
	}
)

// desk is a console of a guard, by TCP; whoever comes as exporter may only look.
func desk(t testing.TB, g *fakeGuard) (address string) {
	t.Helper()
	c := New(Config{
		Version: "test", Settings: func() []Setting {
			return []Setting{{Key: "max_clients", Value: "10", Default: "10000", Changeable: true}}
		},
		Verdicts: func() []diagnosis.Verdict { return wrong }, Incidents: func() []diagnosis.Incident { return happened },
		Reload: func(string) ([]string, error) { return g.changes, g.broken }, Set: g.set, Shutdown: func(how End) { g.Tell(event.Event{Cause: "end", Subject: string(how)}) },
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	work.Go(func() {
		for id := uint64(10); ; id++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { receive(c, g, nc, id) })
		}
	})
	return l.Addr().String()
}

// receive logs somebody in, whoever he is, and serves him.
func receive(c *Console, g *fakeGuard, nc net.Conn, id uint64) {
	defer func() { _ = nc.Close() }()
	p, err := wire.ReadStartup(nc)
	if err == nil && p.Kind == wire.KindSSL {
		_, _ = nc.Write([]byte{'N'})
		p, err = wire.ReadStartup(nc)
	}
	if err != nil || p.Kind != wire.KindStartup {
		return
	}
	o := &proxy.Operator{Conn: nc, ID: id, Since: time.Now(), Changes: true, Secret: make([]byte, 4), Canceled: make(chan struct{}, 1)}
	for _, kv := range p.Params {
		switch kv.Name {
		case "user":
			o.User, o.Changes = kv.Value, kv.Value != "exporter"
		case "application_name":
			o.ApplicationName = kv.Value
		}
	}
	g.mu.Lock()
	g.operators = append(g.operators, o)
	g.mu.Unlock()
	if _, err := nc.Write([]byte{wire.Authentication, 0, 0, 0, 8, 0, 0, 0, 0}); err == nil {
		c.serve(g, o)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.operators {
		if g.operators[i] == o {
			g.operators = append(g.operators[:i], g.operators[i+1:]...)
			return
		}
	}
}

// set notes what it is told.
func (g *fakeGuard) set(by, key, value string) ([]string, error) {
	g.Tell(event.Event{Cause: "set", Subject: key + "=" + value, By: by})
	if !slices.Contains([]string{"max_clients", "upstream", "pool.limit", "pool.idle_timeout"}, key) {
		return nil, errors.New("there is none of that name")
	}
	return g.changes, g.broken
}
