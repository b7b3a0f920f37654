//go:build pg

package proxy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// waiting is a way to have one's server wait for oneself.
type waiting struct {
	name  string
	do    func(p *speaker)
	next  []byte // what the client sends when it goes on
	until string // types of messages it then waits for
	done  string // the last line it then reads
	// told are the lines that it reads, after it has gone on, if its server was taken from it meanwhile; nil: it is closed.
	told []string
}

// waitings are the ways. Table waited has one column of text, counted one of numbers.
func waitings() []waiting {
	begin := func(p *speaker, messages ...[]byte) {
		var all []byte
		for _, m := range messages {
			all = append(all, m...)
		}
		p.write(all)
	}
	long := copyData(strings.Repeat("x", 60<<10) + "\n")
	insert := slices.Concat(parse("", "insert into waited values ($1)"), bound("", "", strings.Repeat("y", 60<<10)))
	rest := insert[len(insert)-20<<10:]
	return []waiting{
		{"COPY, nothing sent", func(p *speaker) { begin(p, simple("copy waited from stdin")); p.read("G") },
			slices.Concat(copyData("a\n"), msgCopyDone), "Z", "Z I", []string{reapedWords, "Z I"}},
		{"COPY, some sent", func(p *speaker) { begin(p, simple("copy waited from stdin")); p.read("G"); begin(p, copyData("a\n")) },
			slices.Concat(copyData("b\n"), msgCopyDone), "Z", "Z I", []string{reapedWords, "Z I"}},
		{"COPY in a transaction", func(p *speaker) { p.ask("begin"); begin(p, simple("copy waited from stdin")); p.read("G") },
			slices.Concat(copyData("a\n"), msgCopyDone), "Z", "Z T", []string{reapedWords, "Z E"}},
		{"COPY, extended", func(p *speaker) {
			begin(p, parse("", "copy waited from stdin"), bound("", ""), execute("", 0), msgFlush)
			p.read("G")
		}, slices.Concat(copyData("a\n"), msgCopyDone, msgSync), "Z", "Z I", []string{reapedWords, "Z I"}},
		{"COPY, half a message", func(p *speaker) { begin(p, simple("copy waited from stdin")); p.read("G"); begin(p, long[:40<<10]) },
			slices.Concat(long[40<<10:], msgCopyDone), "Z", "Z I", []string{reapedWords, "Z I"}},
		{"half a message of a COPY that has failed", func(p *speaker) {
			begin(p, simple("copy counted from stdin"))
			p.read("G")
			begin(p, copyData("no number\n"), long[:40<<10])
			p.read("EZ")
		}, slices.Concat(long[40<<10:], msgCopyDone, simple("select 3")), "Z", "Z I", []string{"T ?column?:23:0", "D 3", "C SELECT 1", "Z I"}},
		{"half a message of a COPY that has failed, extended", func(p *speaker) {
			begin(p, parse("", "copy counted from stdin"), bound("", ""), execute("", 0), msgFlush)
			p.read("G")
			begin(p, copyData("no number\n"), long[:40<<10])
			p.read("E")
		}, slices.Concat(long[40<<10:], msgCopyDone, msgSync), "Z", "Z I", []string{"Z I"}},
		{"half a message of a COPY that has failed, in a transaction", func(p *speaker) {
			p.ask("begin")
			begin(p, simple("copy counted from stdin"))
			p.read("G")
			begin(p, copyData("no number\n"), long[:40<<10])
			p.read("EZ")
		}, slices.Concat(long[40<<10:], msgCopyDone, simple("select 3")), "Z", "Z E", []string{reapedWords, "Z E"}},
		{"Execute and Flush", func(p *speaker) {
			begin(p, parse("", "insert into waited values ('a')"), bound("", ""), execute("", 0), msgFlush)
			p.read("C")
		}, msgSync, "Z", "Z I", []string{reapedWords, "Z I"}},
		{"a suspended portal", func(p *speaker) {
			begin(p, parse("", "select generate_series(1, 5)"), bound("", ""), execute("", 2), msgFlush)
			p.read("s")
		}, slices.Concat(execute("", 0), msgSync), "Z", "Z I", []string{reapedWords, "Z I"}},
		{"a suspended portal in a transaction", func(p *speaker) {
			p.ask("begin")
			begin(p, parse("", "select generate_series(1, 5)"), bound("", ""), execute("", 2), msgFlush)
			p.read("s")
		}, slices.Concat(execute("", 0), msgSync), "Z", "Z T", []string{reapedWords, "Z E"}},
		{"an error before the Sync", func(p *speaker) {
			begin(p, parse("", "select 1/0"), bound("", ""), execute("", 0), msgFlush)
			p.read("E")
		}, msgSync, "Z", "Z I", []string{"Z I"}},
		{"half a message", func(p *speaker) {
			begin(p, insert[:len(insert)-len(rest)])
		}, slices.Concat(rest, execute("", 0), msgSync), "Z", "Z I", []string{reapedWords, "Z I"}},
		{"answers nobody reads", func(p *speaker) {
			begin(p, simple("select repeat('z', 10000) from generate_series(1, 5000)"))
		}, nil, "Z", "Z I", nil},
	}
}

// waiter returns one whose server waits for it.
func (g *guard) waiter(t *testing.T, w waiting) *speaker {
	t.Helper()
	p, _ := enter(t, g.addr)
	w.do(p)
	p.said = nil
	eventually(t, "its server lent", func() bool { return g.pool().Stats.Servers["active"] == 1 })
	return p
}

// A server that waits for its client holds no run token, and the client goes on where it was.
func TestServerThatWaitsForItsClientHoldsNoToken(t *testing.T) {
	g := narrow(t, 4, func(c *Config) { c.Limit = 1 })
	setup, _ := enter(t, g.addr)
	setup.ask("create table if not exists waited (a text); create table if not exists counted (a int)")
	for _, w := range waitings() {
		t.Run(w.name, func(t *testing.T) {
			p := g.waiter(t, w)
			other, _ := enter(t, g.addr)
			start := time.Now()
			other.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("another statement waited %s for the token", d)
			}
			p.write(w.next)
			p.read(w.until)
			if got := p.lines(); got[len(got)-1] != w.done {
				t.Errorf("gone on: %q, want the end %s", got[max(0, len(got)-3):], w.done)
			}
			p.leave()
			eventually(t, "no token held", func() bool {
				s := g.pool().Stats
				return s.Running == 0 && s.Servers["active"] == 1 || s.Servers["active"] == 0
			})
			other.leave()
		})
	}
	g.atRest(t)
}

// Under pressure it is reaped like an idle transaction, before who waits first is refused.
func TestServerThatWaitsForItsClientIsReapedUnderPressure(t *testing.T) {
	for _, w := range waitings() {
		t.Run(w.name, func(t *testing.T) {
			g := narrow(t, 1, func(c *Config) { c.Pool.Classes[0].MaxWait = 2500 * time.Millisecond })
			setup, _ := enter(t, g.addr)
			setup.ask("create table if not exists waited (a text); create table if not exists counted (a int)")
			p := g.waiter(t, w)
			other, _ := enter(t, g.addr)
			other.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
			p.write(w.next)
			if w.told == nil {
				for !p.over {
					p.read(w.until)
				}
				return
			}
			p.read(w.until)
			if got := p.lines(); !slices.Equal(got, w.told) {
				t.Errorf("gone on: %q, want %q", got, w.told)
			}
			if w.told[len(w.told)-1] == "Z E" {
				p.expect("rollback", "C ROLLBACK; Z I")
			}
			p.expect("select 2", "T ?column?:23:0; D 2; C SELECT 1; Z I")
			if list := reaps(g); len(list) != 1 || list[0].From != "waiting for its client" {
				t.Errorf("events %+v", list)
			}
			p.leave()
			other.leave()
			g.atRest(t)
		})
	}
}

// Nine idle COPYs and four idle transactions have all the servers there are: nobody who comes is refused.
func TestIdleHoldersStopNobody(t *testing.T) {
	g := narrow(t, 13, func(c *Config) { c.Limit = 4 })
	setup, _ := enter(t, g.addr)
	setup.ask("create table if not exists waited (a text); create table if not exists counted (a int)")
	for range 9 {
		p, _ := enter(t, g.addr)
		p.write(simple("copy waited from stdin"))
		p.read("G")
	}
	for range 4 {
		p, _ := enter(t, g.addr)
		p.ask("begin")
		p.ask("select 1")
	}
	eventually(t, "all servers taken", func() bool { s := g.pool().Stats; return s.Servers["active"] == 13 && s.Running == 0 })
	var all []*speaker
	for range 12 {
		p, _ := enter(t, g.addr)
		p.write(simple("select pg_sleep(0.01)"))
		all = append(all, p)
	}
	for i, p := range all {
		p.read("Z")
		if got := strings.Join(p.lines(), "; "); strings.Contains(got, "53") && strings.HasPrefix(got, "E ") {
			t.Errorf("number %d: %s", i, got)
		}
	}
}
