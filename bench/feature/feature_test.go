//go:build pg

package feature

import (
	"strings"
	"testing"
	"time"

	"pgguard/bench/load"
	"pgguard/proxy/pgtest"
)

// TestDirectHasEveryFeature holds the features to their judge: what a direct connection has not cannot be asked of a proxy.
func TestDirectHasEveryFeature(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	b, err := NewBench(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	b.Own(pg)
	seen := map[string]bool{}
	for _, f := range All() {
		if f.Group == "" || seen[f.Name] {
			t.Errorf("feature %q: no group, or a name twice", f.Name)
		}
		seen[f.Name] = true
		r, err := b.Run(t.Context(), pg.URL("postgres"), f)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if r.Wrong != "" {
			t.Errorf("%s: %s", f.Name, r.Wrong)
		}
	}
	if len(seen) < 80 {
		t.Errorf("%d features", len(seen))
	}
}

// TestTrialKeepsTheFirstThingWrong: what follows a failure neither runs nor replaces its reason.
func TestTrialKeepsTheFirstThingWrong(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	cfg, err := load.ParseURL(pg.URL("postgres"), "")
	if err != nil {
		t.Fatal(err)
	}
	for want, try := range map[string]func(*trial){
		`ERROR 22012 division by zero`:                              func(t *trial) { t.client().run("SELECT 1 / 0") },
		`SELECT 1: "1", not "2"`:                                    func(t *trial) { t.client().is("SELECT 1", "2") },
		`SELECT 1: no error 22012`:                                  func(t *trial) { t.client().fails("SELECT 1", "22012") },
		`x: ERROR 26000 prepared statement "x" does not exist, not`: func(t *trial) { t.refused("x", t.client().tried("x"), "42P01") },
		`FATAL 57P01 terminating`:                                   func(t *trial) { t.client().run("SELECT pg_terminate_backend(pg_backend_pid())") },
		`login: FATAL 22023`:                                        func(t *trial) { t.clientWith(map[string]string{"work_mem": "x"}) },
	} {
		tr := &trial{ctx: t.Context(), cfg: cfg}
		try(tr)
		c := tr.client()
		c.is("SELECT 1", "2")
		tr.often(func() { t.Error("a step runs after a failure") })
		tr.eventually("never", func() bool { t.Error("a wait runs after a failure"); return true })
		tr.close()
		if !strings.HasPrefix(tr.wrong, want) {
			t.Errorf("got %q, want %q", tr.wrong, want)
		}
	}
}

// TestNeighbourSeesALeak changes every new session from outside, which is what a leak looks like to a neighbour.
func TestNeighbourSeesALeak(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	b, err := NewBench(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := load.ParseURL(pg.URL("postgres"), "")
	if err != nil {
		t.Fatal(err)
	}
	for leak, want := range map[string]string{
		"work_mem = '7MB'": "it sees work_mem=7MB",
		"search_path = ''": "ERROR 42P01",
		"lock_timeout = 9": "it sees lock_timeout=9ms",
	} {
		s := moveIn(t.Context(), cfg, 2, b.seen)
		defer s.leave()
		s.awaitWork(t.Context())
		if got := s.trouble(); got != "" {
			t.Fatalf("before %s: %s", leak, got)
		}
		if err := pg.Exec(t.Context(), "ALTER ROLE postgres SET "+leak); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(answerWait); s.trouble() == "" && time.Now().Before(end); {
			load.Sleep(t.Context(), time.Millisecond)
		}
		if got := s.leave(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: a neighbour says %q, want %q", leak, got, want)
		}
		if err := pg.Exec(t.Context(), "ALTER ROLE postgres RESET ALL"); err != nil {
			t.Fatal(err)
		}
	}
}
