package proxy

import (
	"testing"

	"pgguard/proxy/wire"
)

// BenchmarkStatsOfManyClients is what a look at 10,000 clients costs, once a second and for each scrape; metrics has a benchmark of the rest of that.
func BenchmarkStatsOfManyClients(b *testing.B) {
	cfg := Default()
	cfg.Upstream.Host, cfg.Upstream.User = "127.0.0.1", "postgres"
	srv, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	for range 10_000 {
		srv.entered[&session{srv: srv, local: wire.Idle}] = struct{}{}
	}
	for b.Loop() {
		if st := srv.Stats(); st.Clients["idle"] != 10_000 {
			b.Fatal(st.Clients)
		}
	}
	clear(srv.entered)
}
