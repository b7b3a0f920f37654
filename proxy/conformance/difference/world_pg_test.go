//go:build pg

package difference

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soonRead is the age at which a guard of kind changing reads a text anew.
const soonRead = 100 * time.Millisecond

// learned is how long after a change of the world nothing is sent to the guard, of what it learns by the age of a text in time for that.
func (g *guard) learned() time.Duration {
	if g.kind == changing {
		return soonRead * 3 / 2
	}
	return learnedSettings
}

// learnedSettings is the same for what it learns by looking once a second.
const learnedSettings = 1500 * time.Millisecond

// usualWorlds is how many scripts TestWorld plays unless DIFFERENCE_WORLD says for how long, and usualWorldSeed is their first seed.
const (
	usualWorlds    = 4
	usualWorldSeed = 1
)

// TestWorld plays random scripts in which the world changes, for as long as DIFFERENCE_WORLD says (such as 30m), from DIFFERENCE_SEED on.
func TestWorld(t *testing.T) {
	d, seed, most := time.Hour, uint64(usualWorldSeed), usualWorlds
	var err error
	if v := os.Getenv("DIFFERENCE_WORLD"); v != "" {
		seed, most = rand.Uint64()>>1, 0
		if d, err = time.ParseDuration(v); err != nil {
			t.Fatalf("DIFFERENCE_WORLD: %v", err)
		}
	}
	if v := os.Getenv("DIFFERENCE_SEED"); v != "" {
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("DIFFERENCE_SEED: %v", err)
		}
	}
	t.Logf("DIFFERENCE_SEED=%d", seed)
	var c counts
	end := time.Now().Add(d)
	for n := 0; time.Now().Before(end) && (most == 0 || c.scripts < most) && !t.Failed(); n++ {
		k := changing
		if most == 0 && n%4 == 3 {
			k = unhurried
		}
		room := together
		if most > 0 {
			room = most
		}
		c.crowdOf(t, room, k, &seed, end, false)
	}
	t.Log(&c)
	if c.changes == 0 {
		t.Error("the world was never changed")
	}
}

// change has somebody change the world, and enters what they are told. The guard then has time to learn of it.
func (a *arena) change(ctx context.Context, db string, p *speaker, st step, g *guard) error {
	addr := a.addr
	if g != nil && !st.past {
		addr = g.second.addr
	}
	wait := time.Duration(0)
	if g != nil {
		wait = g.learned()
	}
	for _, m := range st.messages {
		user, reloads := "app", strings.Contains(m.sql, "pg_reload_conf")
		if setsDefaults.MatchString(m.sql) || reloads {
			user, a.dirty = "postgres", true
			if g != nil {
				wait = learnedSettings
			}
		}
		since := ""
		if reloads {
			var err error
			if since, err = a.loaded(ctx); err != nil {
				return err
			}
		}
		text := strings.ReplaceAll(m.sql, "$db", db)
		by, err := dial(addr, user, db, []string{"search_path", "w, public", "lock_timeout", strconv.Itoa(int(lockedFor.Milliseconds()))})
		if err != nil {
			return err
		}
		from := len(by.said.lines)
		by.play(simple(text))
		p.said.add(worldSays + told(by.said.lines[from:]) + ")")
		by.leave()
		if user == "postgres" {
			a.set = time.Now()
		}
		if reloads {
			if err := a.reloaded(ctx, since); err != nil {
				return err
			}
		}
	}
	time.Sleep(wait) // the promise is about what is sent later
	return nil
}

// lockedFor is how long a change waits for a lock: what its client keeps locked it keeps until its next step.
const lockedFor = 200 * time.Millisecond

// told is what somebody was told, in short: commands done, and errors by code and text.
func told(lines []string) string {
	var out []string
	for _, line := range lines {
		if strings.HasPrefix(line, "C ") || strings.HasPrefix(line, "E ") || strings.HasPrefix(line, "(") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}

// loaded is when the configuration was read that new connections find.
func (a *arena) loaded(ctx context.Context) (string, error) {
	p, err := dial(a.addr, "postgres", direct, nil)
	if err != nil {
		return "", err
	}
	defer p.leave()
	p.play(simple("select pg_conf_load_time()"))
	return fmt.Sprint(p.said.lines[len(p.said.lines)-3:]), ctx.Err()
}

// reloaded waits until new connections find a configuration that was read after since: those that were open have been told before.
func (a *arena) reloaded(ctx context.Context, since string) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		now, err := a.loaded(ctx)
		if err != nil || now != since {
			return err
		}
	}
	return fmt.Errorf("the configuration is not read anew after %s", patience)
}

// settleWorld puts the settings of roles, databases and the cluster back to what they were at first, and gives the guard time to learn of
// that and of the tables made anew.
func (a *arena) settleWorld(ctx context.Context, s script, g *guard) error {
	if !s.guard.moving() {
		return nil
	}
	wait := time.Duration(0)
	if g != nil {
		wait = g.learned()
	}
	if a.dirty {
		for _, text := range []string{
			"alter role app reset all", "alter role postgres reset all", "alter role app in database guarded reset all",
			"alter role app in database direct reset all", "alter database guarded reset all", "alter database direct reset all",
			"alter database guarded set search_path = w, public", "alter database direct set search_path = w, public", "alter system reset all",
		} {
			if err := a.exec(ctx, direct, text); err != nil {
				return err
			}
		}
		since, err := a.loaded(ctx)
		if err != nil {
			return err
		}
		if err := a.exec(ctx, direct, "select pg_reload_conf()"); err != nil {
			return err
		}
		if err := a.reloaded(ctx, since); err != nil {
			return err
		}
		a.dirty, a.set = false, time.Now()
	}
	if g != nil {
		wait = max(wait, time.Until(a.set.Add(learnedSettings)))
	}
	time.Sleep(wait)
	return nil
}
