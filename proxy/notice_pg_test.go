//go:build pg

package proxy

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/sock"
)

// adviceTest is a guard whose clients wait.
type adviceTest struct {
	*guard
	t *testing.T
}

const advised = "N SNOTICE VNOTICE C00000 MIt is the locks. DThis statement has waited for "

// waits is a client that has sent b, of which something waits.
func (a *adviceTest) waits(p *speaker, b []byte) {
	a.t.Helper()
	p.write(b)
	eventually(a.t, "the client waiting", func() bool { return a.Stats().Clients["waiting"] == 1 })
}

// advise tells who has waited for so long that it is the locks.
func (a *adviceTest) advise(after time.Duration) {
	for range 3 {
		a.Advise(a.pool().Name, "It is the locks.", after)
	}
	a.Advise("other:5432", "It is the network.", 0)
}

// TestWhoWaitsIsToldWhatIsWrong: once for each wait, before the answer, which is as it would have been; not before the time, not while the client is in the middle of
// what it sends, and not if PostgreSQL would not say it either.
func TestWhoWaitsIsToldWhatIsWrong(t *testing.T) {
	g := crowded(t, time.Minute, 10)
	a := &adviceTest{g, t}
	batch := slices.Concat(parse("", "select 7"), bound("", ""), execute("", 0), msgSync)
	answer := []string{"D 7", "C SELECT 1", "Z I"}
	for name, c := range map[string]struct {
		before []string
		send   []byte
		after  time.Duration
		told   bool
		rest   []byte
	}{
		"simple":   {send: simple("select 7"), told: true},
		"extended": {send: batch, told: true},
		"in a transaction that waits for its first statement": {before: []string{"begin"}, send: simple("select 7"), told: true},
		"not for so long":          {send: simple("select 7"), after: time.Hour},
		"client_min_messages":      {before: []string{"set client_min_messages = warning"}, send: simple("select 7")},
		"half a message behind it": {send: slices.Concat(batch, batch[:9]), rest: batch[9:]},
		"a whole batch behind it":  {send: slices.Concat(batch, batch)},
	} {
		t.Run(name, func(t *testing.T) {
			a := &adviceTest{g, t}
			p, _ := enter(t, g.addr)
			for _, text := range c.before {
				p.ask(text)
			}
			for round := range 2 {
				release := g.hold(t)
				a.waits(p, c.send)
				a.advise(c.after)
				if c.told {
					p.read("N")
				}
				a.advise(c.after)
				release()
				p.write(c.rest)
				p.read(strings.Repeat("Z", max(1, strings.Count(name, "behind")*2)))
				got := slices.DeleteFunc(p.lines(), func(l string) bool { return strings.ContainsAny(l[:1], "12T") })
				if c.told && (!strings.HasPrefix(got[0], advised) || !strings.HasSuffix(got[0], " s; class high.")) {
					t.Errorf("round %d: %q", round, got)
				}
				if c.told {
					got = got[1:]
				}
				if strings.HasPrefix(name, "in a") {
					got[len(got)-1] = strings.Replace(got[len(got)-1], "Z T", "Z I", 1)
					p.ask("commit")
					p.ask("begin")
				}
				want := slices.Clone(answer)
				if strings.Contains(name, "behind") {
					want = append(want, answer...)
				}
				if !slices.Equal(got, want) {
					t.Errorf("round %d: %q", round, got)
				}
			}
		})
	}
	p, _ := enter(t, g.addr)
	a.advise(0)
	p.expect("select 7", "T ?column?:23:0; D 7; C SELECT 1; Z I") // who does not wait is told nothing
}

// TestWhoWaitsIsToldInPgBouncersWords: once for each wait that is long enough, from when the configuration says so.
func TestWhoWaitsIsToldInPgBouncersWords(t *testing.T) {
	g := crowded(t, time.Minute, 10)
	p, _ := enter(t, g.addr)
	const told, answer = "N SNOTICE VNOTICE C00000 MNo server connection available in postgres backend, client being queued; ", "T ?column?:23:0; D 7; C SELECT 1; Z I"
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 50 * time.Millisecond, time.Hour} {
		g.with(t, func(c *Config) { c.NoticeAfter = after })
		release := g.hold(t)
		(&adviceTest{g, t}).waits(p, simple("select 7"))
		want := answer
		if after == 50*time.Millisecond {
			want = told + answer
			p.read("N")
		}
		<-time.After(2 * sock.LookEvery) // in which it would be told what it should not, or again
		release()
		p.read("Z")
		if got := strings.Join(p.lines(), "; "); got != want {
			t.Errorf("after %s: %s", after, got)
		}
	}
}

// wellFormed is an answer to select 7 by either protocol, before which its client may have been told something.
var wellFormed = regexp.MustCompile(`^(N SNOTICE [^;]*; class high\.; )?(1; 2; |T \?column\?:23:0; )D 7; C SELECT 1; Z I$`)

// TestAdviceNeverBreaksAnAnswer: it comes while servers are granted and answer.
func TestAdviceNeverBreaksAnAnswer(t *testing.T) {
	g := crowded(t, time.Minute, 100)
	a := &adviceTest{g, t}
	stop, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		for {
			select {
			case <-stop:
				return
			default:
				a.advise(0)
			}
		}
	}()
	batch := slices.Concat(parse("", "select 7"), bound("", ""), execute("", 0), msgSync)
	var work sync.WaitGroup
	for i := range 8 {
		p, _ := enter(t, g.addr)
		work.Go(func() {
			for round := range 100 {
				if (i+round)%2 == 0 {
					p.write(batch)
				} else {
					p.write(simple("select 7"))
				}
				p.read("Z")
				if got := strings.Join(p.lines(), "; "); !wellFormed.MatchString(got) || p.over {
					t.Errorf("client %d, %d: %q", i, round, got)
					return
				}
			}
		})
	}
	work.Wait()
	close(stop)
	<-told
}
