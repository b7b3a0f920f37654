//go:build pg

package difference

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// ways are how a neighbour may send a text.
var ways = map[string]func(text string) []message{
	"simple":   func(text string) []message { return []message{query(text)} },
	"unnamed":  func(text string) []message { return []message{parse("", text), bind("", ""), execute("", 0), sync} },
	"named":    func(text string) []message { return []message{parse("a", text), bind("", "a"), execute("", 0), sync} },
	"in block": func(text string) []message { return []message{query("begin"), query(text), query("commit")} },
	"failed": func(text string) []message {
		return []message{query("begin"), query(text), query("select 1 / 0"), query("commit")}
	},
	"multi": func(text string) []message { return []message{query("select 1; " + text)} },
}

// Whatever one neighbour does, and whether it stays or leaves: the next client sees nothing of it. Each text is sent in one
// way, or in all if DIFFERENCE is set.
func TestNothingOfNeighbourIsSeen(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	g, err := newGuard(t.Context(), shared, plainGuard, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, text := range dirt {
		names := slices.Sorted(maps.Keys(ways))
		if os.Getenv("DIFFERENCE") == "" {
			names = []string{names[r.IntN(len(names))]}
		}
		for _, way := range names {
			seen(t, g, way, text, r.IntN(2) == 0)
		}
	}
}

// seen fails the test if a client sees anything after a neighbour has sent text in this way.
func seen(t *testing.T, g *guard, way, text string, stays bool) {
	t.Helper()
	look := simple(probe)
	v, err := shared.judge(t.Context(), script{user: "app", steps: []step{
		{kind: neighbour, messages: ways[way](text), stays: stays}, {kind: neighbour, stays: stays}, look,
		simple("do $$ begin end $$"), look, {kind: neighbour}, simple("execute a"), look,
	}}, g)
	if err != nil {
		t.Fatal(err)
	}
	if v.want.cut {
		t.Fatalf("%s, %s: the direct connection was cut", text, way)
	}
	if v.differs() {
		t.Errorf("%s, %s, the neighbour stays: %t\n%s", text, way, stays, v)
	}
}
