//go:build pg

package proxy

import (
	"strings"
	"testing"
	"time"
)

// full returns a guard with one server, which somebody holds in a transaction until free is called.
func full(t *testing.T, set func(*Config)) (g *guard, free func()) {
	t.Helper()
	g = narrow(t, 1, set)
	holder, _ := enter(t, g.addr)
	holder.expect("begin; select 1", "C BEGIN; T ?column?:23:0; D 1; C SELECT 1; Z T")
	return g, holder.leave
}

// countRefused takes the lines apart: how many are refusals with this code, with HINT and DETAIL, and the others.
func countRefused(lines []string, code string) (n int, others []string) {
	for _, l := range lines {
		if strings.HasPrefix(l, "E SERROR VERROR C"+code+" Mguard: ") && strings.Contains(l, " Dclass=high waiting=") &&
			strings.Contains(l, " HThe statement was not sent; it is safe to try again.") {
			n++
		} else {
			others = append(others, l)
		}
	}
	return n, others
}

func wantRefused(t *testing.T, lines []string, code, others string) {
	t.Helper()
	n, rest := countRefused(lines, code)
	if got := strings.Join(rest, "; "); n != 1 || got != others {
		t.Errorf("got %q, want one refusal %s and %s", lines, code, others)
	}
}

func TestRefusalKeepsClientConnected(t *testing.T) {
	g, free := full(t, impatient(30*time.Millisecond))
	p, _ := enter(t, g.addr)
	wantRefused(t, p.ask("select 1"), "53300", "Z I")
	p.write(unnamed("select 1"))
	p.read("Z")
	wantRefused(t, p.lines(), "53300", "Z I")
	p.expect("begin", "C BEGIN; Z T")
	wantRefused(t, p.ask("select 1"), "53300", "Z E")
	p.expect("select 2", "E SERROR VERROR C25P02 Mcurrent transaction is aborted, commands ignored until end of transaction block; Z E")
	p.expect("commit", "C ROLLBACK; Z I")
	p.expect("begin isolation level repeatable read", "C BEGIN; Z T")
	p.write(unnamed("select 1"))
	p.read("Z")
	wantRefused(t, p.lines(), "53300", "Z E")
	p.write(unnamed("select 1"))
	p.read("Z")
	p.expect("select 2", "E SERROR VERROR C25P02 Mcurrent transaction is aborted, commands ignored until end of transaction block; "+
		"Z E; E SERROR VERROR C25P02 Mcurrent transaction is aborted, commands ignored until end of transaction block; Z E")
	p.write(unnamed("rollback"))
	p.read("Z")
	if got := strings.Join(p.lines(), "; "); got != `1; t "\x00\x00"; 2; C ROLLBACK; Z I` && got != `1; t "\x00\x00"; n; 2; C ROLLBACK; Z I` {
		t.Errorf("got %s", got)
	}
	free()
	p.expect("select transaction_timestamp() = now()", "T ?column?:16:0; D t; C SELECT 1; Z I")
	p.leave()
}

// A refusal answers the first statement of what was sent; the others wait for their own answers, in order.
func TestEveryStatementOfPipelineIsRefused(t *testing.T) {
	g, free := full(t, impatient(5*time.Millisecond))
	const n = 40 // more than fits in a buffer; each waits for the pool to look at its clock
	for name, one := range map[string][]byte{
		"simple":    simple("select 1 /* " + strings.Repeat("x", 500) + " */"),
		"extended":  unnamed("select 1 /* " + strings.Repeat("x", 500) + " */"),
		"long":      simple("select 1 /* " + strings.Repeat("x", 20<<10) + " */"),
		"long ext.": unnamed("select 1 /* " + strings.Repeat("x", 20<<10) + " */"),
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := enter(t, g.addr)
			var all []byte
			for range n {
				all = append(all, one...)
			}
			go p.write(all)
			p.read(strings.Repeat("Z", n))
			refused, others := countRefused(p.lines(), "53300")
			if want := strings.Repeat("Z I", n); refused != n || strings.Join(others, "") != want {
				t.Errorf("%d refusals and %d other lines, want %d of each", refused, len(others), n)
			}
			p.leave()
		})
	}
	free()
}

// What comes while a statement waits, and after it was refused, is answered once and in order.
func TestPipelineAroundRefusalKeepsOrder(t *testing.T) {
	g, free := full(t, impatient(200*time.Millisecond))
	p, _ := enter(t, g.addr)
	var all []byte
	const n = 1000
	for range n {
		all = append(all, simple("select 'padding', 1 /* "+strings.Repeat("y", 40)+" */")...)
	}
	done := make(chan struct{})
	go func() { p.write(all); close(done) }()
	p.read("Z")
	p.read("Z")
	free()
	p.read(strings.Repeat("Z", n-2))
	<-done
	lines := p.lines()
	refused, others := countRefused(lines, "53300")
	served := strings.Count(strings.Join(others, ";"), "D padding|1")
	if refused+served != n || refused < 2 || strings.Count(strings.Join(others, ";"), "Z I") != n {
		t.Errorf("%d refused, %d served, want %d in all", refused, served, n)
	}
	p.expect("select 2", "T ?column?:23:0; D 2; C SELECT 1; Z I")
}

func TestQueueFullIsRefusedAtOnce(t *testing.T) {
	g, free := full(t, func(c *Config) {
		impatient(patience)(c)
		c.Pool.Classes[0].MaxLength = 1
	})
	first, _ := enter(t, g.addr)
	first.write(simple("select 1"))
	eventually(t, "waiting", func() bool { return g.Stats().Clients["waiting"] == 1 })
	p, _ := enter(t, g.addr)
	wantRefused(t, p.ask("select 2"), "53400", "Z I")
	p.write(unnamed("select 2"))
	p.read("Z")
	wantRefused(t, p.lines(), "53400", "Z I")
	free()
	first.read("Z")
	p.expect("select 2", "T ?column?:23:0; D 2; C SELECT 1; Z I")
}

// Statements that set a connection up or clean it up wait as long as it takes.
func TestSetUpIsNeverRefused(t *testing.T) {
	g, free := full(t, impatient(10*time.Millisecond))
	texts := []string{
		"set timezone = 'UTC'", "reset timezone", "discard all", "deallocate all", "unlisten *", "rollback; select 1",
		"close all", "commit; select 1",
	}
	var all []*speaker
	for i, text := range texts {
		p, _ := enter(t, g.addr)
		if i%2 == 0 {
			p.write(simple(text))
		} else {
			p.write(unnamed(strings.TrimSuffix(text, "; select 1")))
		}
		all = append(all, p)
	}
	other, _ := enter(t, g.addr)
	wantRefused(t, other.ask("select 1"), "53300", "Z I")
	free()
	for i, p := range all {
		p.read("Z")
		if n, _ := countRefused(p.lines(), "53300"); n > 0 {
			t.Errorf("%s was refused", texts[i])
		}
		p.leave()
	}
}
