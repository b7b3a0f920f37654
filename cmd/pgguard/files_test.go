package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"pgguard/proxy"
)

func TestFitFilesLowersClientsAndRefusesTooFew(t *testing.T) {
	for _, c := range []struct {
		clients, servers int
		limit            uint64
		want             int // 0: refused
	}{
		{clients: 20_000, servers: 0, limit: 1 << 20, want: 20_000},
		{clients: 20_000, servers: 0, limit: 20_564, want: 20_000},
		{clients: 20_000, servers: 0, limit: 20_563, want: 19_999},
		{clients: 20_000, servers: 0, limit: 1024, want: 460},
		{clients: 20_000, servers: 0, limit: 820, want: 256},
		{clients: 20_000, servers: 0, limit: 819},
		{clients: 20_000, servers: 20, limit: 340, want: 256},
		{clients: 100, servers: 20, limit: 184, want: 100},
		{clients: 100, servers: 20, limit: 183},
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
