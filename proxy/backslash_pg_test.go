//go:build pg

package proxy

import (
	"strings"
	"testing"
)

// TestABackslashIsNotReadOtherwise: a text that was prepared under another standard_conforming_strings is not read anew where the server lacks it.
func TestABackslashIsNotReadOtherwise(t *testing.T) {
	g := narrow(t, 2, nil)
	p, _ := enter(t, g.addr)
	q, _ := enter(t, g.addr)
	p.ask("set standard_conforming_strings = off")
	p.play([]step{say("Z", parse("s", `select 'a\\b'`), msgSync)})
	p.ask(`prepare sq as select 'a\\b'`)
	p.ask("set standard_conforming_strings = on")
	q.ask("begin")
	q.ask("select 1") // takes the server that p had, if it may
	got := p.play([]step{say("Z", bound("", "s"), execute("", 0), msgSync)})
	if said := strings.Join(got, "; "); strings.Contains(said, `D a\\b`) {
		t.Errorf("the protocol's: %q", said)
	}
	if said := strings.Join(p.ask("execute sq"), "; "); !strings.Contains(said, `D a\b`) {
		t.Errorf("that of SQL: %q", said)
	}
	q.ask("rollback")
	p.leave()
	q.leave()
	g.atRest(t)
}
