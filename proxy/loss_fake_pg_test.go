//go:build pg

package proxy

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// fakeGuard is a guard in front of a fake server. Its first connection is the side channel's, which is turned away.
func fakeGuard(t *testing.T, steps ...pgtest.Step) (*guard, *pgtest.Fake) {
	t.Helper()
	fake := pgtest.NewFake(t, pgtest.Hang())
	g := newGuard(t, fake.Addr(), func(cfg *Config) { cfg.Pool.MaxServers, cfg.SyncApplicationName = 1, false })
	eventually(t, "side channel connected", func() bool { return fake.Accepted() == 1 })
	fake.Script(append([]pgtest.Step{pgtest.AcceptLogin(map[string]string{"server_version": "15.0"})}, steps...)...)
	return g, fake
}

var (
	begun         = &pgproto3.CommandComplete{CommandTag: []byte("BEGIN")}
	inTransaction = &pgproto3.ReadyForQuery{TxStatus: 'T'}
	selected      = &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
	idleNow       = &pgproto3.ReadyForQuery{TxStatus: 'I'}
)

// TestServerLostAtCommit loses the server when it has the COMMIT and has not answered: nobody knows the outcome.
func TestServerLostAtCommit(t *testing.T) {
	g, _ := fakeGuard(t, pgtest.Expect('Q', "BEGIN"), pgtest.Send(begun, inTransaction), pgtest.Expect('Q', "select 1"),
		pgtest.Send(selected, inTransaction), pgtest.Expect('Q', "COMMIT"), pgtest.CloseHard())
	client := g.call(t)
	client.want(t, client.query, "BEGIN", "", 'T')
	client.want(t, client.query, "select 1", "", 'T')
	client.want(t, client.query, "COMMIT", "08007", 'I')
}

// TestServerLostWhileItIsGivenBackItsName loses the server when all of a client's statement is answered but the ReadyForQuery, which waits until the server
// has the client's application_name again: what was done is done, and the client does not wait for ever.
func TestServerLostWhileItIsGivenBackItsName(t *testing.T) {
	reset := &pgproto3.CommandComplete{CommandTag: []byte("RESET")}
	own := &pgproto3.ParameterStatus{Name: "application_name", Value: "pgguard"}
	for _, c := range []struct {
		name   string
		before []pgtest.Step
		state  *pgproto3.ReadyForQuery
		code   string
		want   byte
	}{
		{"outside a transaction", nil, idleNow, "", 'I'},
		{"in a transaction", []pgtest.Step{pgtest.Expect('Q', "BEGIN"), pgtest.Send(begun, inTransaction)}, inTransaction, "08006", 'E'},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := pgtest.NewFake(t, pgtest.Hang())
			g := newGuard(t, fake.Addr(), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
			eventually(t, "side channel connected", func() bool { return fake.Accepted() == 1 })
			steps := []pgtest.Step{pgtest.AcceptLogin(map[string]string{"server_version": "15.0", "application_name": "pgguard"}),
				pgtest.Expect('Q', "SET application_name"), pgtest.Send(&pgproto3.CommandComplete{CommandTag: []byte("SET")}, idleNow)}
			steps = append(append(steps, c.before...), pgtest.Expect('Q', "reset all"), pgtest.Send(own, reset, c.state), pgtest.Expect('P', "set_config"), pgtest.CloseHard())
			fake.Script(steps...)
			client := g.call(t, "application_name", "me")
			if c.before != nil {
				client.want(t, client.query, "BEGIN", "", 'T')
			}
			client.want(t, client.query, "reset all", c.code, c.want)
		})
	}
}

// TestServerLostAtSomethingOfTheGuards loses the server at what the guard asks of it behind the client's ReadyForQuery, which is none of the client's business.
func TestServerLostAtSomethingOfTheGuards(t *testing.T) {
	failed := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "57014", Message: "canceled"}
	g, _ := fakeGuard(t, pgtest.Expect('P', "select 1"), pgtest.Expect('S', ""), pgtest.Send(&pgproto3.ParseComplete{}, idleNow),
		pgtest.Expect('Q', "BEGIN"), pgtest.Expect('P', "s"), pgtest.Expect('Q', "deallocate s"),
		pgtest.Send(begun, inTransaction, &pgproto3.ParseComplete{}, failed, &pgproto3.ReadyForQuery{TxStatus: 'E'}), pgtest.Expect('C', "s"), pgtest.CloseHard())
	p, _ := enter(t, g.addr)
	p.play([]step{say("Z", parse("s", "select 1"), msgSync)})
	p.ask("begin")
	if got := strings.Join(p.ask("deallocate s"), "; "); got != "E SERROR VERROR C57014 Mcanceled; Z E" {
		t.Errorf("got %s", got)
	}
	eventually(t, "lost", func() bool { return g.pool().Servers["active"] == 0 })
	if got := p.ask("select 2"); len(got) != 2 || !strings.HasPrefix(got[0], "E SERROR VERROR C08006") || got[1] != "Z E" {
		t.Errorf("got %s", got)
	}
	p.expect("rollback", "C ROLLBACK; Z I")
}

// TestServerLostInMidRow loses the server when half a long row has been passed on: only a closed connection is honest.
func TestServerLostInMidRow(t *testing.T) {
	row := appendMessage(nil, wire.DataRow, "\x00\x01\x00\x01\x00\x00"+strings.Repeat("x", 1<<16))
	g, _ := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.SendBytes(row[:40<<10]), pgtest.CloseHard())
	client := g.call(t)
	if a, err := client.query("select 1"); err == nil {
		t.Errorf("got %s, want a closed connection", a)
	}
	eventually(t, "the client forgotten", func() bool { return g.clients() == 0 })
}

// TestServerLostBetweenRows loses the server after whole rows: an error may follow those.
func TestServerLostBetweenRows(t *testing.T) {
	row := &pgproto3.DataRow{Values: [][]byte{[]byte("x")}}
	g, _ := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.Send(row, row), pgtest.CloseHard())
	client := g.call(t)
	if a := client.want(t, client.query, "select 1", "08006", 'I'); len(a.rows) != 2 {
		t.Errorf("%d rows, want 2", len(a.rows))
	}
}

// TestServerEndWithLastBytes has the server answer and close in one go, so that nothing announces the end by itself: it
// is noticed within 1.5 s all the same.
func TestServerEndWithLastBytes(t *testing.T) {
	for _, state := range []*pgproto3.ReadyForQuery{idleNow, inTransaction} {
		t.Run(string(state.TxStatus), func(t *testing.T) {
			ctx, answerNow := context.WithCancel(context.Background())
			defer answerNow()
			g, fake := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.Send(selected, idleNow),
				pgtest.Expect('Q', "select 2"), pgtest.Hang(ctx), pgtest.Send(selected, state)) // the script's end closes
			client := g.call(t)
			client.want(t, client.query, "select 1", "", 'I')
			answerNow()
			client.want(t, client.query, "select 2", "", state.TxStatus)
			fake.Script(pgtest.AcceptLogin(nil), pgtest.Expect('Q', "select 3"), pgtest.Send(selected, idleNow), pgtest.WaitEOF())
			within(t, 1500*time.Millisecond+time.Second, "noticed", func() bool {
				st := g.pool()
				return st.Servers["idle"]+st.Servers["active"]+st.Servers["closing"] == 0
			})
			if state.TxStatus == 'T' {
				client.want(t, client.query, "ROLLBACK", "", 'I')
			}
			client.want(t, client.query, "select 3", "", 'I')
		})
	}
}

// TestServerEndWithLastBytesWhileClosing has the server end in the same way when the guard, which closes, cleans it: that waits
// no longer than elsewhere.
func TestServerEndWithLastBytesWhileClosing(t *testing.T) {
	g, _ := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.Send(selected, inTransaction), pgtest.Expect('Q', "ROLLBACK"),
		pgtest.Send(&pgproto3.NoticeResponse{Severity: "WARNING", Code: "57P02", Message: "terminating connection"}))
	client := g.call(t)
	client.want(t, client.query, "select 1", "", 'T')
	start := time.Now()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took >= g.cfg().CancelTimeout {
		t.Errorf("closed after %s", took)
	}
}

// TestServerSpeaksUnasked ends a server that answers what nobody asked, before its answer can reach anybody.
func TestServerSpeaksUnasked(t *testing.T) {
	ctx, speak := context.WithCancel(context.Background())
	defer speak()
	g, fake := fakeGuard(t, pgtest.Expect('Q', "select 1"), pgtest.Send(selected, idleNow), pgtest.Hang(ctx),
		pgtest.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("another's")}}), pgtest.WaitEOF())
	client := g.call(t)
	client.want(t, client.query, "select 1", "", 'I')
	fake.Script(pgtest.AcceptLogin(nil), pgtest.Expect('Q', "select 2"), pgtest.Send(selected, idleNow), pgtest.WaitEOF())
	speak()
	eventually(t, "server dropped", func() bool {
		st := g.pool()
		return st.Servers["idle"]+st.Servers["active"]+st.Servers["closing"] == 0 // it is active until its answer has been taken in
	})
	if a := client.want(t, client.query, "select 2", "", 'I'); len(a.rows) != 0 {
		t.Errorf("got %d rows that were not asked for", len(a.rows))
	}
}
