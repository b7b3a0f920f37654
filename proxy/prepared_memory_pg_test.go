//go:build pg

package proxy

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// heap is what lives in this process.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what was in a sync.Pool
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// hoards are the ways to prepare one statement after the other, each with a text of its own: what is sent for the i-th, with a comment of that length.
var hoards = map[string]func(i int, pad string) []step{
	"named":          func(i int, pad string) []step { return []step{say("Z", parse(hoarded(i, pad)), msgSync)} },
	"named, alone":   func(i int, pad string) []step { return []step{say("Z", parse(explained(i, pad)), msgSync)} },
	"named, closed":  func(i int, pad string) []step { return []step{say("Z", parse(hoarded(i, pad)), closing(i), msgSync)} },
	"alone, closed":  func(i int, pad string) []step { return []step{say("Z", parse(explained(i, pad)), closing(i), msgSync)} },
	"in flux":        influx(hoarded),
	"in flux, alone": influx(explained),
	"unnamed, twice": func(i int, pad string) []step { return []step{unnamedHoard(i, pad), unnamedHoard(i, pad)} },
	"unnamed in flux": func(i int, pad string) []step {
		return append(append(queries("begin", "set local work_mem = '5MB'"), unnamedHoard(i, pad)), queries("commit")...)
	},
}

func hoarded(i int, pad string) (name, text string) {
	return fmt.Sprint("h", i), fmt.Sprintf("select %d /* %s */", i, pad)
}

func explained(i int, pad string) (name, text string) {
	return fmt.Sprint("h", i), fmt.Sprintf("explain (costs off) select %d /* %s */", i, pad)
}

func closing(i int) []byte { return appendMessage(nil, 'C', fmt.Sprintf("Sh%d\x00", i)) }

func influx(what func(int, string) (string, string)) func(int, string) []step {
	return func(i int, pad string) []step {
		prepared := say("Z", parse(what(i, pad)), msgSync)
		return append(append(queries("begin", "set local work_mem = '5MB'"), prepared), queries("commit")...)
	}
}

func unnamedHoard(i int, pad string) step {
	_, text := hoarded(i, pad)
	return say("Z", parse("", text), bound("", ""), execute("", 0), msgSync)
}

// TestOneClientsStatementsAreBounded: whatever one client prepares, and however, the guard has no more of it than pool.prepared_memory and a few MiB for
// what is on its way; all is answered as PostgreSQL does, and given back when the client has left.
func TestOneClientsStatementsAreBounded(t *testing.T) {
	const texts, size, budget, slack = 80, 500_000, 4 << 20, 6 << 20
	pad := strings.Repeat("x", size)
	for name, hoard := range hoards {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 2, func(c *Config) { c.PreparedMemory = budget })
			before, _ := enter(t, g.addr)
			before.ask("select 1")
			began := heap()
			p, _ := enter(t, g.addr)
			d, _ := enter(t, address(shared))
			for i := range texts {
				steps := hoard(i, pad)
				if said, want := p.play(steps), d.play(steps); fmt.Sprint(said) != fmt.Sprint(want) {
					t.Fatalf("text %d:\n got %.300q\nwant %.300q", i, said, want)
				}
				p.said, d.said = nil, nil
			}
			if more := heap() - began; more > budget+slack {
				t.Errorf("%d texts of %d bytes take %d MiB, of %d", texts, size, more>>20, budget>>20)
			}
			if _, used := g.library.Stats(); used > budget {
				t.Errorf("%d bytes are counted, of %d", used, budget)
			}
			for _, i := range []int{0, texts / 2, texts - 1} {
				again := []step{say("Z", bound("", fmt.Sprint("h", i)), execute("", 0), msgSync)}
				if said, want := p.play(again), d.play(again); fmt.Sprint(said) != fmt.Sprint(want) {
					t.Errorf("text %d, run:\n got %.300q\nwant %.300q", i, said, want)
				}
			}
			p.leave()
			d.leave()
			eventually(t, "left", func() bool { return g.clients() == 1 })
			g.atRest(t)
			if more := heap() - began; more > budget+slack/2 {
				t.Errorf("%d MiB stay when the client has left", more>>20)
			}
			if _, used := g.library.Stats(); strings.Contains(name, "alone") && used != 0 {
				t.Errorf("%d bytes are counted that nobody has", used)
			}
		})
	}
}

// TestOneClientsNamesAreBounded: a client that gives ever more names to one statement has them known to its server alone from some number on, and they
// all mean it.
func TestOneClientsNamesAreBounded(t *testing.T) {
	const names, batch, most = 20_000, 100, 10_000
	g := narrow(t, 2, nil)
	p, _ := enter(t, g.addr)
	for i := 0; i < names; i += batch {
		var all []byte
		for n := range batch {
			all = append(all, parse(fmt.Sprint("n", i+n), "select 1")...)
		}
		p.write(append(all, msgSync...))
		p.read("Z")
		p.said = nil
	}
	s := g.all()[0]
	s.mu.Lock()
	kept := s.client.Statements()
	s.mu.Unlock()
	if kept > most {
		t.Errorf("the guard knows %d names of %d", kept, names)
	}
	for _, i := range []int{0, kept - 1, kept, names - 1} {
		said := p.play([]step{say("Z", bound("", fmt.Sprint("n", i)), execute("", 0), msgSync)})
		if text := fmt.Sprint(said); !strings.Contains(text, "D 1") {
			t.Errorf("name %d: %s", i, text)
		}
	}
	p.leave()
}
