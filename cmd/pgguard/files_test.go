package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"pgguard/proxy"
	"pgguard/proxy/upstream"
)

func TestFitFilesLowersClientsAndRefusesTooFew(t *testing.T) {
	for _, c := range []struct {
		clients, servers int
		limit            uint64
		want             int // 0: refused
	}{
		{clients: 20_000, servers: 0, limit: 1 << 20, want: 20_000},
		{clients: 20_000, servers: 0, limit: 20_596, want: 20_000},
		{clients: 20_000, servers: 0, limit: 20_595, want: 19_999},
		{clients: 20_000, servers: 0, limit: 1056, want: 460},
		{clients: 20_000, servers: 0, limit: 852, want: 256},
		{clients: 20_000, servers: 0, limit: 851},
		{clients: 20_000, servers: 20, limit: 372, want: 256},
		{clients: 100, servers: 20, limit: 216, want: 100},
		{clients: 100, servers: 20, limit: 215},
		{clients: 100, servers: 20, limit: 0},
	} {
		cfg := proxy.Default()
		cfg.MaxClients, cfg.Pool.MaxServers = c.clients, c.servers
		got, err := fitFiles(cfg, c.limit)
		if got != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%d clients, %d servers, limit %d: got %d, %v; want %d", c.clients, c.servers, c.limit, got, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), "ulimit -n") {
			t.Errorf("the error does not say what to do: %v", err)
		}
	}
}

func TestProvideFilesLeavesSmallNeedsAlone(t *testing.T) {
	cfg := proxy.Default()
	cfg.MaxClients, cfg.Pool.MaxServers = 10, 5
	var log bytes.Buffer
	if err := provideFiles(&cfg, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	if cfg.MaxClients != 10 || log.Len() > 0 {
		t.Errorf("max_clients is %d, the log says %s", cfg.MaxClients, log.String())
	}
}

// TestFilesAreShared: what clients, silent connections and servers may have is within what there is.
func TestFilesAreShared(t *testing.T) {
	for _, c := range []struct{ clients, servers, databases int }{{100_000_000, 0, 0}, {100_000_000, 100, 3}, {10, 5, 0}, {300, 0, 2}} {
		cfg := proxy.Default()
		cfg.MaxClients, cfg.Pool.MaxServers = c.clients, c.servers
		cfg.Upstream.Host = "db"
		cfg.Databases = map[string]proxy.Database{}
		for i := range c.databases {
			name := string(rune('a' + i))
			cfg.Databases[name] = proxy.Database{Upstream: upstream.Upstream{Host: name}}
		}
		limit, err := raiseFileLimit(1)
		if err != nil {
			t.Fatal(err)
		}
		if err := provideFiles(&cfg, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		after, err := raiseFileLimit(1)
		if err != nil {
			t.Fatal(err)
		}
		used := cfg.Files + (1+c.databases)*cfg.ServerFiles + reservedFiles
		if uint64(used) > max(limit, after) || cfg.Files < cfg.MaxClients || cfg.ServerFiles < c.servers || cfg.ServerFiles < 1 {
			t.Errorf("%+v: %d clients, %d files for them, %d for servers, of %d", c, cfg.MaxClients, cfg.Files, cfg.ServerFiles, after)
		}
		if faults := cfg.Validate(); len(faults) > 0 {
			t.Errorf("%+v: %v", c, faults)
		}
	}
}
