package instance

import (
	"fmt"
	"log/slog"
	"testing"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy/upstream"
)

// TestNamesOfDatabasesLeaveNothing: a client may name any, again and again.
func TestNamesOfDatabasesLeaveNothing(t *testing.T) {
	in := New(Config{Pool: pool.Default(), Log: slog.New(slog.DiscardHandler), Events: event.New(event.Size)}, upstream.Upstream{Host: "db.example.com", Port: 5432, User: "app"})
	for i := range 3 * maxCatalogs {
		in.Catalog(fmt.Sprint("none", i))
	}
	if n := len(in.catalogs); n > maxCatalogs {
		t.Errorf("%d databases are remembered", n)
	}
}
