package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/config"
)

// TestReloadNamesWhoStaysBehind: an operator is told by RELOAD which clients have servers where their database is not any more, and what to do about it; of many some are named.
func TestReloadNamesWhoStaysBehind(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pgguard.yaml")
	if err := os.WriteFile(file, []byte("upstream: postgres://app@db/app\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := &serveCmd{Config: file}
	l := &live{read: serve.readAgain, apply: func(*config.File) error { return nil }, note: func(event.Event) {}}
	var log strings.Builder
	first, err := l.read(nil)
	if err != nil {
		t.Fatal(err)
	}
	l.begin(first, &log)
	o := newOrders(l)
	many := make([]uint64, mostNamed+3)
	o.behind = func() []proxy.Straggler {
		return []proxy.Straggler{{Database: "app", At: "old:5432", Clients: []uint64{4, 9}}, {Database: "other", At: "old:5432", Clients: many}}
	}
	said, err := o.reload("ops")
	if err != nil || len(said) != 2 {
		t.Fatal(said, err)
	}
	for _, want := range []string{"app: ", "old:5432", ": 4, 9;", "WAIT_CLOSE app", "KILL_CLIENT"} {
		if !strings.Contains(said[0], want) {
			t.Errorf("%q lacks %q", said[0], want)
		}
	}
	if !strings.Contains(said[1], " and 3 more;") || !strings.Contains(log.String(), `ids="4, 9"`) {
		t.Errorf("%q; in the log %s", said[1], log.String())
	}
}
