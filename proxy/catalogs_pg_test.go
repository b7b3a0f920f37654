//go:build pg

package proxy

import (
	"fmt"
	"testing"
)

// TestNamesOfDatabasesLeaveNothing: a client may name any, again and again.
func TestNamesOfDatabasesLeaveNothing(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	client := g.call(t)
	client.does(t, "select 1")
	was := g.the(t).Catalog("postgres")
	for i := range 3000 {
		if _, err := call(g.addr, "postgres", fmt.Sprint("none", i)); err == nil {
			t.Fatal("let in")
		}
	}
	if n := g.the(t).Catalogs(); n > 1100 {
		t.Errorf("%d databases are remembered", n)
	}
	if g.the(t).Catalog("postgres") != was {
		t.Error("one that is in use is another now")
	}
}
