//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/pgtest"
)

// call is a FunctionCall of a function without arguments.
func functionCall(oid string) []byte {
	var n uint32
	_, _ = fmt.Sscan(oid, &n)
	return appendMessage(nil, 'F', string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 0, 0, 0, 0, 0, 0}))
}

// TestFunctionCallBehindABatchIsNoTransaction: what the guard puts ahead of a function call does not keep the batch open.
func TestFunctionCallBehindABatchIsNoTransaction(t *testing.T) {
	g := narrow(t, 1, nil)
	oid := direct(t, shared).one(t, "select 'pg_catalog.pg_backend_pid()'::regprocedure::oid")
	for range 2 {
		p, _ := enter(t, g.addr)
		p.write(append(append(parse("s", "select 5"), msgFlush...), functionCall(oid)...))
		p.read("Z")
		if said := p.lines(); said[len(said)-1] != "Z I" {
			t.Errorf("got %q", said)
		}
		p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
		p.write(append(append(parse("t", "select nextval('items_id_seq')"), msgFlush...), functionCall(oid)...))
		p.read("Z")
		p.leave()
	}
	g.atRest(t)
}

// TestSettingsUnderAShortTimeout: a client whose statement_timeout ends the guard's own queries is told so and kept.
func TestSettingsUnderAShortTimeout(t *testing.T) {
	g := narrow(t, 1, nil)
	hasty, _ := enter(t, g.addr)
	other, _ := enter(t, g.addr)
	hasty.ask("set statement_timeout = '1ms'")
	for i := range 50 {
		other.ask(fmt.Sprintf("set my.long%d = '%s'", i, strings.Repeat("x", 200)))
	}
	for i := range 300 {
		for _, p := range []*speaker{hasty, other} {
			said := p.ask("select 1")
			if p.over {
				t.Fatalf("round %d: closed: %q", i, said)
			}
			if last := said[len(said)-1]; last != "Z I" {
				t.Fatalf("round %d: %q", i, said)
			}
			if said[0] != "T ?column?:23:0" && !strings.Contains(said[0], "C57014") {
				t.Fatalf("round %d: %q", i, said)
			}
		}
	}
	hasty.leave()
	other.leave()
	g.atRest(t)
}

// TestSettingsThatAreEndedByATimeout is the same with a server that is sure to end them.
func TestSettingsThatAreEndedByATimeout(t *testing.T) {
	canceled := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "57014", Message: "canceling statement due to statement timeout"}
	rows := func(pairs ...string) (out []pgproto3.BackendMessage) {
		out = append(out, &pgproto3.CloseComplete{}, &pgproto3.ParseComplete{}, &pgproto3.BindComplete{})
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, &pgproto3.DataRow{Values: [][]byte{[]byte("s"), []byte(pairs[i]), []byte(pairs[i+1])}})
		}
		return append(out, selected, &pgproto3.CloseComplete{}, idleNow)
	}
	residue := []pgtest.Step{pgtest.Expect('C', ""), pgtest.Expect('P', "pg_settings"), pgtest.Expect('B', ""), pgtest.Expect('E', ""), pgtest.Expect('C', ""), pgtest.Expect('S', "")}
	steps := append([]pgtest.Step{pgtest.Expect('Q', "set statement_timeout"), pgtest.Send(&pgproto3.CommandComplete{CommandTag: []byte("SET")}, idleNow)}, residue...)
	steps = append(steps, pgtest.Send(rows("statement_timeout", "1")...), pgtest.Expect('Q', "set_config"), pgtest.Send(canceled, idleNow), pgtest.WaitEOF())
	g, fake := fakeGuard(t, steps...)
	hasty, other := g.call(t), g.call(t)
	hasty.want(t, hasty.query, "set statement_timeout = '1ms'", "", 'I')
	fake.Script(pgtest.AcceptLogin(nil), pgtest.Expect('Q', "select 2"), pgtest.Send(selected, idleNow), pgtest.WaitEOF())
	other.want(t, other.query, "select 1", "57014", 'I')
	other.want(t, other.query, "select 2", "", 'I')
}

// TestWarningOfADyingServerIsNotTheClients: a server that answers and then says that it ends because another has crashed has
// served its client; what it says behind is about itself.
func TestWarningOfADyingServerIsNotTheClients(t *testing.T) {
	warning := &pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "57P02",
		Message: "terminating connection because of crash of another server process"}
	g, fake := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.Send(selected, idleNow, warning))
	p, _ := enter(t, g.addr)
	p.write(simple("select 1"))
	p.read("Z")
	fake.Script(pgtest.AcceptLogin(nil), pgtest.Expect('Q', "select 2"), pgtest.Send(selected, idleNow), pgtest.WaitEOF())
	eventually(t, "the server gone", func() bool { st := g.pool(); return st.Servers["idle"]+st.Servers["active"]+st.Servers["closing"] == 0 })
	p.expectAfter("select 2", "C SELECT 1; Z I; C SELECT 1; Z I")
}

// expectAfter runs one simple query and fails the test unless this was said, with what was said before.
func (p *speaker) expectAfter(text, want string) {
	p.t.Helper()
	p.write(simple(text))
	p.read("Z")
	if got := strings.Join(p.lines(), "; "); got != want {
		p.t.Errorf("%s\n got %s\nwant %s", text, got, want)
	}
}
