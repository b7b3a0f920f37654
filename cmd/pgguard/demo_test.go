package main

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestStartServeReportsAGuardThatIsNeverReady(t *testing.T) {
	t.Setenv(asPgguard, "1")
	listen, web := mustFree(t), mustFree(t)
	held, err := net.Listen("tcp", "127.0.0.1:0") // a port that nobody else gets, and that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err = startServe(ctx, "postgres://app:hunter2@"+held.Addr().String()+"/app", listen, web, io.Discard)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	if c, err := net.Dial("tcp", listen); err == nil {
		_ = c.Close()
		t.Error("the guard still runs")
	}
}

func TestStartServeReportsAGuardThatEnds(t *testing.T) {
	t.Setenv(asPgguard, "1")
	_, err := startServe(context.Background(), "nonsense", mustFree(t), mustFree(t), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "it ended at once") {
		t.Errorf("got %v", err)
	}
}

func mustFree(t *testing.T) string {
	t.Helper()
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
