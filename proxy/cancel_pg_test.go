//go:build pg

package proxy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// awaitRunning waits until the cluster's server of this application name runs a statement with text in it.
func awaitRunning(t *testing.T, admin *caller, text string) {
	t.Helper()
	eventually(t, "running "+text, func() bool {
		return admin.one(t, "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() "+
			"and query like '%"+text+"%'") != "0"
	})
}

// cancelTest is a guard with one server, a client whose statements are canceled and one who must not notice.
type cancelTest struct {
	*guard
	admin, victim, other *caller
}

// TestCancel cancels a client's statement in each state that it can be in.
func TestCancel(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	ct := &cancelTest{guard: g, admin: direct(t, c), victim: g.call(t), other: g.call(t)}
	t.Run("running", ct.cancelRunning)
	t.Run("running in a transaction", ct.cancelInTransaction)
	t.Run("waiting, while the pool is saturated", ct.cancelWaiting)
	t.Run("idle and with wrong keys", ct.cancelNobody)
	t.Run("after the client has gone", ct.cancelAfterDeath)
	g.atRest(t)
}

func (ct *cancelTest) cancelRunning(t *testing.T) {
	_ = ct.victim.send(simple("select pg_sleep(60)"))
	awaitRunning(t, ct.admin, "pg_sleep(60)")
	if err := ct.victim.cancel(); err != nil {
		t.Fatal(err)
	}
	if a, err := ct.victim.answer(); err != nil || a.code() != "57014" || a.status != 'I' {
		t.Errorf("canceled: %v %s", err, a)
	}
	ct.victim.want(t, ct.victim.query, "select 1", "", 'I')
}

func (ct *cancelTest) cancelInTransaction(t *testing.T) {
	ct.victim.want(t, ct.victim.query, "BEGIN", "", 'T')
	_ = ct.victim.send(append(batchOf("select pg_sleep(61)"), wire.AppendEmpty(nil, wire.Sync)...))
	awaitRunning(t, ct.admin, "pg_sleep(61)")
	_ = ct.victim.cancel()
	if a, err := ct.victim.answer(); err != nil || a.code() != "57014" || a.status != 'E' {
		t.Errorf("canceled: %v %s", err, a)
	}
	ct.victim.want(t, ct.victim.query, "ROLLBACK", "", 'I')
}

func (ct *cancelTest) cancelWaiting(t *testing.T) {
	ct.other.want(t, ct.other.query, "BEGIN", "", 'T')
	ct.other.want(t, ct.other.query, "select 1", "", 'T')
	for _, run := range []func(string) error{
		func(text string) error { return ct.victim.send(simple(text)) },
		func(text string) error {
			return ct.victim.send(append(batchOf(text), wire.AppendEmpty(nil, wire.Sync)...))
		},
	} {
		_ = run("select 2")
		eventually(t, "waiting", func() bool { return ct.Stats().Clients["waiting"] == 1 })
		start := time.Now()
		_ = ct.victim.cancel()
		if a, err := ct.victim.answer(); err != nil || a.code() != "57014" || a.status != 'I' {
			t.Errorf("canceled: %v %s", err, a)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("took %s", d)
		}
	}
	ct.other.want(t, ct.other.query, "COMMIT", "", 'I')
	ct.victim.want(t, ct.victim.query, "select 3", "", 'I')
}

func (ct *cancelTest) cancelNobody(t *testing.T) {
	_ = ct.other.send(simple("select 42 from pg_sleep(0.3)"))
	awaitRunning(t, ct.admin, "pg_sleep(0.3)")
	wrong := append([]byte(nil), ct.other.secret...)
	wrong[0] ^= 1
	for what, err := range map[string]error{
		"idle":         ct.victim.cancel(),
		"wrong secret": cancelWith(ct.addr, ct.other.pid, wrong),
		"wrong pid":    cancelWith(ct.addr, ct.other.pid+1000, ct.other.secret),
		"short secret": cancelWith(ct.addr, ct.other.pid, ct.other.secret[:3]),
		"long secret":  cancelWith(ct.addr, ct.other.pid, append(append([]byte(nil), ct.other.secret...), 0)),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if a, err := ct.other.answer(); err != nil || len(a.codes) > 0 || len(a.rows) != 1 {
		t.Errorf("somebody else's statement was hit: %v %s", err, a)
	}
	ct.victim.want(t, ct.victim.query, "select 4", "", 'I')
}

func (ct *cancelTest) cancelAfterDeath(t *testing.T) {
	gone := ct.call(t)
	pid, secret := gone.pid, gone.secret
	gone.kill()
	eventually(t, "gone", func() bool { return ct.clients() == 2 })
	_ = ct.other.send(simple("select 42 from pg_sleep(0.2)"))
	awaitRunning(t, ct.admin, "pg_sleep(0.2)")
	_ = cancelWith(ct.addr, pid, secret)
	if a, err := ct.other.answer(); err != nil || len(a.codes) > 0 {
		t.Errorf("somebody else's statement was hit: %v %s", err, a)
	}
}

// TestCancelWithLongKey cancels with a key of protocol 3.2.
func TestCancelWithLongKey(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	g := newGuard(t, address(c), nil)
	victim := g.call(t)
	long, err := callVersion(g.addr, wire.Version32)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = long.Close() }()
	if len(long.secret) != keySize || len(victim.secret) != 4 {
		t.Errorf("secrets of %d and %d bytes, want %d and 4", len(long.secret), len(victim.secret), keySize)
	}
	_ = long.send(simple("select pg_sleep(62)"))
	awaitRunning(t, admin, "pg_sleep(62)")
	if err := cancelWith(g.addr, long.pid, long.secret[:4]); err != nil {
		t.Error(err)
	}
	if err := long.cancel(); err != nil {
		t.Error(err)
	}
	if a, err := long.answer(); err != nil || a.code() != "57014" || a.status != 'I' {
		t.Errorf("canceled: %v %s", err, a)
	}
}

// TestCancelHitsNobodyElse has clients cancel at random while their statements come and go on few servers. A client
// that cancels may get 57014 for any of its statements; one that never cancels must not.
func TestCancelHitsNobodyElse(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 4 })
	seed := seeded(t)
	end := make(chan struct{})
	var wg sync.WaitGroup
	var innocent, canceled atomic.Int64
	for i := range 10 {
		c := g.call(t)
		rnd := rand.New(rand.NewPCG(seed.Uint64(), 2))
		cancels := i%2 == 0
		wg.Go(func() { cancelAtRandom(t, c, rnd, cancels, end, &innocent, &canceled) })
	}
	eventually(t, "stressed enough", func() bool { return canceled.Load() > 300 && innocent.Load() > 3000 })
	close(end)
	wg.Wait()
	g.atRest(t)
	st := g.Stats()
	t.Logf("%d statements of the innocent, %d canceled, requests %v, logins %v", innocent.Load(), canceled.Load(), st.Cancels, g.pool().Stats.Logins)
	if n := g.pool().Stats.Logins["ok"]; n > 4 {
		t.Errorf("%d server logins, want 4: a cancel cost a server", n)
	}
}

func cancelAtRandom(t *testing.T, c *caller, rnd *rand.Rand, cancels bool, end chan struct{}, innocent, canceled *atomic.Int64) {
	for {
		select {
		case <-end:
			return
		default:
		}
		text := "select 1"
		if rnd.IntN(3) == 0 {
			text = fmt.Sprintf("select pg_sleep(%f)", rnd.Float64()/200)
		}
		var done chan struct{}
		if cancels {
			done = make(chan struct{})
			pause := time.Duration(rnd.IntN(6000)) * time.Microsecond
			go func() {
				time.Sleep(pause) // so that it comes before, while and after
				_ = c.cancel()
				close(done)
			}()
		}
		a, err := c.query(text)
		switch {
		case err != nil:
			t.Errorf("%s: %v", text, err)
			return
		case a.code() == "57014" && cancels:
			canceled.Add(1)
		case len(a.codes) > 0:
			t.Errorf("cancels=%v: %s: %s", cancels, text, a)
			return
		case !cancels:
			innocent.Add(1)
		}
		if cancels && rnd.IntN(2) == 0 {
			<-done
		} else if done != nil {
			// The request may still be on its way while the next statement runs, which it may hit: it is ours.
			defer func() { <-done }()
		}
	}
}

// TestCancelByPsql interrupts psql while its statement runs and while it waits.
func TestCancelByPsql(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal(err)
	}
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	interrupt := func(ready func(), texts ...string) string {
		var out strings.Builder
		args := []string{"-X", "-d", "postgres://postgres@" + g.addr + "/postgres?sslmode=disable", "-c", "\\set VERBOSITY verbose"}
		for _, text := range texts {
			args = append(args, "-c", text)
		}
		cmd := exec.Command(psql, args...)
		cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, append(os.Environ(), "LC_ALL=C")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ready()
		_ = cmd.Process.Signal(syscall.SIGINT)
		exited := make(chan struct{})
		go func() { _ = cmd.Wait(); close(exited) }()
		select {
		case <-exited:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			dump(t, "psql does not end")
		}
		return out.String()
	}
	out := interrupt(func() { awaitRunning(t, admin, "pg_sleep(63)") }, "select pg_sleep(63)")
	if !strings.Contains(out, "57014") {
		t.Errorf("running: %s", out)
	}
	holder := g.call(t)
	holder.want(t, holder.query, "BEGIN", "", 'T')
	holder.want(t, holder.query, "select 1", "", 'T')
	out = interrupt(func() {
		eventually(t, "waiting", func() bool { return g.Stats().Clients["waiting"] == 1 })
	}, "select 5")
	if !strings.Contains(out, "57014") {
		t.Errorf("waiting: %s", out)
	}
	holder.want(t, holder.query, "COMMIT", "", 'I')
	g.atRest(t)
}

// callVersion logs in with a protocol version.
func callVersion(addr string, version uint32) (*caller, error) {
	c, err := dialCaller(addr)
	if err != nil {
		return nil, err
	}
	if err := c.login(version, []string{"user", "postgres", "database", "postgres"}); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// TestCancelOfWhatIsBeingGranted: a cancel request that comes when the pool has granted the statement what it waits for, and nothing of it is sent yet, is
// not lost: it hits the statement at its server.
func TestCancelOfWhatIsBeingGranted(t *testing.T) {
	g := narrow(t, 1, nil)
	other, _ := enter(t, g.addr)
	other.ask("begin")
	other.ask("select 1")
	victim, _ := enter(t, g.addr)
	victim.write(simple("select pg_sleep(60)"))
	var s *session
	eventually(t, "waiting", func() bool {
		for _, s = range g.all() {
			if s.isBusy() {
				return true
			}
		}
		return false
	})
	result := make(chan string)
	s.mu.Lock()
	go func() { result <- s.cancel() }()
	eventually(t, "the cancel, before the client's lock", func() bool { return someoneIn("(*session).cancel(") })
	other.write(simple("commit"))
	eventually(t, "the grant, behind it", func() bool { return someoneIn("(*session).Granted(") })
	s.mu.Unlock()
	if got := <-result; got != "sent" {
		t.Errorf("the cancel came to %q", got)
		_ = victim.nc.Close()
		return
	}
	eventually(t, "cancelled", func() bool { // one that overtakes its statement on the way to the server finds nothing
		return victim.hears('Z', 1, time.Now().Add(100*time.Millisecond)) || s.cancel() == ""
	})
	if got := strings.Join(victim.lines(), "; "); !strings.Contains(got, "C57014 ") {
		t.Errorf("got %s", got)
	}
	g.atRest(t)
}
