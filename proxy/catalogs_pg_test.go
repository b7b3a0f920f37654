//go:build pg

package proxy

import (
	"fmt"
	"testing"
)

// TestNamesOfDatabasesChangeNothing for who is in: a client may name any, again and again.
func TestNamesOfDatabasesChangeNothing(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	client := g.call(t)
	client.does(t, "select 1")
	was := g.the(t).Catalog("postgres")
	for i := range 3000 {
		if _, err := call(g.addr, "postgres", fmt.Sprint("none", i)); err == nil {
			t.Fatal("let in")
		}
	}
	if g.the(t).Catalog("postgres") != was {
		t.Error("one that is in use is another now")
	}
}
