//go:build pg

package proxy

import (
	"sync"
	"testing"
)

// TestWhatClientsDidIsCountedWhenTheyHaveLeft: bytes and statements of clients that come and go never fall between two snapshots, and are the same as
// those of their databases when all have left.
func TestWhatClientsDidIsCountedWhenTheyHaveLeft(t *testing.T) {
	g := narrow(t, 4, nil)
	const clients, rounds = 8, 20
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				p, _ := enter(t, g.addr)
				p.ask("select 1")
				p.leave()
			}
		})
	}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	was := g.Stats()
	for done := false; !done; {
		select {
		case <-over:
			done = true
		default:
		}
		is := g.Stats()
		for _, way := range []string{"in", "out"} {
			if is.Bytes[way] < was.Bytes[way] {
				t.Fatalf("bytes %s: %d after %d", way, is.Bytes[way], was.Bytes[way])
			}
		}
		was = is
	}
	eventually(t, "all have left", func() bool { return len(g.all()) == 0 })
	is := g.Stats()
	var of Totals
	for _, d := range g.Databases() {
		of.Add(d.Totals)
	}
	if is.Bytes["in"] != of.Received || is.Bytes["out"] != of.Sent || of.Received == 0 {
		t.Errorf("bytes %v, those of databases are %d and %d", is.Bytes, of.Received, of.Sent)
	}
	if is.Queries["high"] != of.Queries || of.Queries != clients*rounds {
		t.Errorf("%d queries, those of databases are %d, those of clients %d", is.Queries["high"], of.Queries, clients*rounds)
	}
}
