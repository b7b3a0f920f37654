package proxy

import (
	"testing"

	"pgguard/proxy/upstream"
)

// TestReloadKeepsWhatIsBound: who reads the configuration knows nothing of it.
func TestReloadKeepsWhatIsBound(t *testing.T) {
	cfg := Default()
	cfg.Upstream = upstream.Upstream{Host: "127.0.0.1", Port: 1, User: "app"}
	given := cfg
	cfg.Spans, cfg.LikePgBouncer, cfg.Console = make(chan Span, 1), true, func(*Server, *Operator) {}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	given.Listen = []Listener{{Addr: "127.0.0.1:7000"}}
	given.MaxClients, given.PreparedMemory = 7, 1<<20
	if err := srv.Reload(given); err != nil {
		t.Fatal(err)
	}
	now := srv.Config()
	if now.Spans == nil || !now.LikePgBouncer || now.Console == nil || now.Log != cfg.Log || now.Listen[0] != cfg.Listen[0] || now.PreparedMemory != cfg.PreparedMemory {
		t.Errorf("it is %+v", now)
	}
	if now.MaxClients != 7 {
		t.Errorf("%d clients may come", now.MaxClients)
	}
}

// TestNewDatabaseIsWhereAReloadBroughtIt, which it has overtaken between looking where that is and being kept.
func TestNewDatabaseIsWhereAReloadBroughtIt(t *testing.T) {
	cfg := Default()
	cfg.Upstream.Host, cfg.Upstream.Port, cfg.Upstream.User = "127.0.0.1", 1, "app"
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv.stop()
	old := srv.instanceFor(cfg.Upstream)
	cfg.Upstream.Port = 2
	if err := srv.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if d := srv.databaseFor("app", old); d.inst() != srv.instanceFor(cfg.Upstream) {
		t.Errorf("it is at %s", d.inst().Name())
	}
}
