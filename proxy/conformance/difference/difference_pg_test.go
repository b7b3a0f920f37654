//go:build pg

package difference

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Unless DIFFERENCE says otherwise TestDifference plays the same scripts every time, without noise, so that it says
// something about a change and nothing about luck: usualCrowds times together of them, from usualSeed on. What they find
// is repaired; `make difference` looks for more.
const (
	usualSeed   = 1000
	usualCrowds = 8
)

// usual are the guards that crowds meet in turn.
var usual = []kind{plainGuard, impatient, plainGuard, cancelling, plainGuard, full, plainGuard, narrow}

// together is how many scripts meet the same guard, one after the other, and half as many if it refuses.
const together = 20

// TestDifference plays random scripts for as long as DIFFERENCE says (such as 1h), from DIFFERENCE_SEED on.
func TestDifference(t *testing.T) {
	d, seed, crowds := time.Hour, uint64(usualSeed), usualCrowds
	var err error
	if v := os.Getenv("DIFFERENCE"); v != "" {
		seed, crowds = rand.Uint64()>>1, 0
		if d, err = time.ParseDuration(v); err != nil {
			t.Fatalf("DIFFERENCE: %v", err)
		}
	}
	if v := os.Getenv("DIFFERENCE_SEED"); v != "" {
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("DIFFERENCE_SEED: %v", err)
		}
	}
	t.Logf("DIFFERENCE_SEED=%d", seed)
	logKnown(t)
	meets := usual
	if v := os.Getenv("DIFFERENCE_GUARD"); v != "" {
		meets = []kind{kind(strings.TrimPrefix(v, "plain"))}
		if !slices.Contains(kinds, meets[0]) {
			t.Fatalf("DIFFERENCE_GUARD: there is no %q", v)
		}
	}
	var c counts
	noise := crowds == 0 && seed%2 == 1 // then the other, crowd by crowd
	end := time.Now().Add(d)
	for n := 0; time.Now().Before(end) && (crowds == 0 || n < crowds) && !t.Failed(); n++ {
		k := meets[n%len(meets)]
		c.crowd(t, k, &seed, end, noise && k == plainGuard)
		if k == plainGuard {
			noise = crowds == 0 && !noise
		}
	}
	t.Log(&c)
	if c.moves == 0 && slices.Contains(meets, plainGuard) {
		t.Error("no client was ever moved to another server: the guard does not share servers, or the test does not see it")
	}
	if c.refused == 0 && len(meets) > 1 && crowds > 0 && !t.Failed() {
		t.Error("nobody was ever refused")
	}
}

func logKnown(t *testing.T) {
	t.Helper()
	for _, k := range known {
		t.Logf("known, not generated: %s: %s", k.text, k.reason)
	}
	for _, k := range inText {
		t.Logf("known, ends a session in which %s was sent: %s for %s: %s", k.text, k.guard, k.direct, k.reason)
	}
	for _, k := range knownAnswers {
		t.Logf("known, ends a session: %s for %s: %s", k.guard, k.direct, k.reason)
	}
}

// counts are what a run has covered.
type counts struct {
	scripts, steps, lines, moves, accepted, crashes, left, fewer, refused, changes int
	pins                                                                           uint64
}

func (c *counts) String() string {
	return fmt.Sprintf("%d sessions, %d steps, %d messages received, %d pins (the neighbours' too), server changed under the client %d times, "+
		"%d clients left in the middle, after %d of them less was done than they had sent, %d steps refused and tried again, "+
		"%d sessions ended at a known difference, %d crashed PostgreSQL itself, the world was changed %d times",
		c.scripts, c.steps, c.lines, c.pins, c.moves, c.left, c.fewer, c.refused, c.accepted, c.crashes, c.changes)
}

// crowd plays scripts from *seed on against one guard.
func (c *counts) crowd(t *testing.T, k kind, seed *uint64, end time.Time, noise bool) {
	t.Helper()
	n := together
	if k.refusing() {
		n /= 2
	}
	c.crowdOf(t, n, k, seed, end, noise)
}

// crowdOf plays so many.
func (c *counts) crowdOf(t *testing.T, most int, k kind, seed *uint64, end time.Time, noise bool) {
	t.Helper()
	ctx := t.Context()
	g, err := newGuard(ctx, shared, k, noise)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.close(); err != nil {
			t.Errorf("the guard: %v", err)
		}
	}()
	var before []script
	for range most {
		s, pins := generateFor(k, *seed), g.pinned()
		v, err := shared.judge(ctx, s, g)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", *seed, err, s)
		}
		if v.crashed() {
			c.crashes++
			if v.got.cut {
				t.Logf("seed %d: PostgreSQL crashed through the guard and not directly\n%s", *seed, s)
			}
			*seed++
			return
		}
		if n := g.Stats().Panics; n > 0 {
			t.Errorf("seed %d: %d sessions of the guard panicked", *seed, n)
		}
		if v.differs() {
			report(t, *seed, append(before, s), v, noise)
			return
		}
		before = append(before, s)
		c.count(s, v, g.pinned()-pins)
		*seed++
		if time.Now().After(end) {
			return
		}
	}
}

// count enters a script that was played with this many pins.
func (c *counts) count(s script, v verdict, pins uint64) {
	c.scripts++
	c.steps += len(s.steps)
	c.lines += len(v.got.lines)
	c.moves += v.got.moves()
	c.pins += pins
	for _, st := range s.steps {
		if st.kind == world {
			c.changes++
		}
	}
	c.left += s.leaves()
	c.refused += v.got.refused
	if v.accepted {
		c.accepted++
	}
	if v.fewer {
		c.fewer++
	}
}

// verdict is what came of a script; at is the line of the first difference, or -1. It is accepted if it is known.
type verdict struct {
	want, got transcript
	at        int
	accepted  bool
	fewer     bool // the guard did less for a client that left: what comes after that is not compared
}

// crashed is whether PostgreSQL did not outlive the script: it uses memory of the message before where a failed
// transaction's portal is run, and what is there then is chance.
func (v verdict) crashed() bool { return v.at < 0 && (v.want.cut || v.got.cut) }

// differs is whether the guard was wrong.
func (v verdict) differs() bool { return v.at >= 0 && !v.accepted }

func (v verdict) String() string {
	return fmt.Sprintf("direct:\n%s\nthrough the guard:\n%s", v.want.around(v.at), v.got.around(v.at))
}

// judge plays s in both ways. With a guard that refuses it is played directly as the guard has taken it.
func (a *arena) judge(ctx context.Context, s script, g *guard) (v verdict, err error) {
	if g.kind.refusing() {
		return a.judgeTaken(ctx, s, g)
	}
	if v.want, err = a.play(ctx, s, nil); err != nil && a.admin[direct].IsClosed() {
		v.at, v.want.cut = -1, true
		return v, a.recover(ctx)
	}
	if err != nil {
		return v, fmt.Errorf("directly: %w", err)
	}
	if v.want.cut { // PostgreSQL crashed: there is nothing to compare with
		v.at = -1
		return v, nil
	}
	if v.got, err = a.play(ctx, s, g); err != nil && a.admin[guarded].IsClosed() {
		v.at, v.got.cut = -1, true
		return v, a.recover(ctx)
	}
	if err != nil {
		return v, fmt.Errorf("through the guard: %w", err)
	}
	v.compare(g.kind.refusing())
	return v, nil
}

// judgeTaken plays s through the guard first, and what that took directly.
func (a *arena) judgeTaken(ctx context.Context, s script, g *guard) (v verdict, err error) {
	if v.got, err = a.play(ctx, s, g); err != nil && a.admin[guarded].IsClosed() {
		v.at, v.got.cut = -1, true
		return v, a.recover(ctx)
	}
	if err != nil {
		return v, fmt.Errorf("through the guard: %w", err)
	}
	s.steps = v.got.played
	if v.want, err = a.play(ctx, s, nil); err != nil && a.admin[direct].IsClosed() {
		v.at, v.want.cut = -1, true
		return v, a.recover(ctx)
	}
	if err != nil {
		return v, fmt.Errorf("directly: %w", err)
	}
	if v.want.cut {
		v.at = -1
		return v, nil
	}
	v.compare(g.kind.refusing())
	return v, nil
}

// compare finds the first difference.
func (v *verdict) compare(refuses bool) {
	v.at = differs(v.want, v.got)
	if fewer(v.want, v.got, v.at, refuses) {
		v.fewer, v.at = true, v.got.broken(v.at)
		return
	}
	v.accepted = isKnownAnswer(v.want, v.got, v.at)
}

// replay plays the scripts against a guard that nobody has used, and judges the last.
func (a *arena) replay(ctx context.Context, all []script, noise bool) (v verdict, err error) {
	g, err := newGuard(ctx, a, all[0].guard, noise)
	if err != nil {
		return v, err
	}
	defer func() {
		if cerr := g.close(); err == nil {
			err = cerr
		}
	}()
	last := len(all) - 1
	for _, s := range all[:last] {
		if _, err := a.judge(ctx, s, g); err != nil { // both ways: what they change in the neighbours' schema stays
			return v, err
		}
	}
	return a.judge(ctx, all[last], g)
}

// report makes the scripts as small as they get and fails the test with them. v is of the last.
func report(t *testing.T, seed uint64, all []script, v verdict, noise bool) {
	t.Helper()
	usual := patience
	patience = usual / 10
	fails := func(all []script) bool {
		for range tries(noise) {
			again, err := shared.replay(t.Context(), all, noise)
			if err == nil && again.differs() && !again.want.senseless() {
				v = again
				return true
			}
		}
		return false
	}
	small, found := shrink(all[len(all)-1:], time.Now().Add(shrinkFor), fails)
	if !found {
		small, found = shrink(all, time.Now().Add(shrinkFor), fails)
	}
	patience = usual
	if !found {
		t.Errorf("seed %d: a difference that does not come again, also not after the %d scripts before; noise %t\n%s\n%s",
			seed, len(all)-1, noise, all[len(all)-1], v)
		return
	}
	t.Errorf("seed %d, noise %t: a difference. To keep it, save this as testdata/NAME.txt\n\n%s\n%s", seed, noise, format(small), v)
}

// tries is how often a script is played before it counts as one without a difference.
func tries(noise bool) int {
	if noise {
		return 5 // what the neighbours do meanwhile is another thing each time
	}
	return 1
}

// TestNamed plays every script in testdata, each file against a guard of its own.
func TestNamed(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there is nothing in testdata: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all, err := parseScripts(string(text))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			v, err := shared.replay(t.Context(), all, false)
			if err != nil {
				t.Fatal(err)
			}
			if v.want.cut {
				t.Error("the direct connection was cut: PostgreSQL crashed, or nothing came")
			}
			if v.differs() {
				t.Errorf("%s", v)
			}
		})
	}
}
