//go:build pg

package difference

import (
	"os"
	"testing"
	"time"
)

// probes is how often a client looks in one script.
const probes = 40

// Whatever many do at once, nothing of it is seen by a client that only looks. It goes on for as long as DIFFERENCE says.
func TestNothingOfNoiseIsSeen(t *testing.T) {
	d := 2 * time.Second
	if v := os.Getenv("DIFFERENCE"); v != "" {
		var err error
		if d, err = time.ParseDuration(v); err != nil {
			t.Fatalf("DIFFERENCE: %v", err)
		}
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		for _, user := range []string{"app", "postgres"} {
			unseen(t, user)
		}
	}
}

// unseen plays looks against a guard of their own.
func unseen(t *testing.T, user string) {
	t.Helper()
	g, err := newGuard(t.Context(), shared, plainGuard, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	}()
	s := script{user: user}
	for range probes {
		s.steps = append(s.steps, simple(probe), simple("table t1"))
	}
	v, err := shared.judge(t.Context(), s, g)
	if err != nil {
		t.Fatal(err)
	}
	if v.differs() {
		t.Errorf("user %s\n%s", user, v)
	}
}
