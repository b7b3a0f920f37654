package pgtest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgproto3/v2"
	"github.com/jackc/pgx/v5/pgconn"
)

// login connects to a fake as user app.
func login(t *testing.T, f *Fake, password string) (*pgconn.PgConn, error) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), "postgres://app:"+password+"@"+f.Addr()+"/db?sslmode=disable")
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

func mustLogin(t *testing.T, f *Fake) *pgconn.PgConn {
	t.Helper()
	conn, err := login(t, f, "")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// sqlState is the code of a server's error, or empty.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func TestFakeLogsInByEveryMethod(t *testing.T) {
	for name, step := range map[string]Step{
		"cleartext": AcceptCleartext("hush"), "md5": AcceptMD5("hush"), "scram": AcceptSCRAM("hush"),
	} {
		f := NewFake(t, step, AnswerQueries(nil))
		conn, err := login(t, f, "hush")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := conn.Exec(t.Context(), "select 1").ReadAll(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := login(t, f, "wrong"); sqlState(err) != "28P01" {
			t.Errorf("%s with a wrong password: %v", name, err)
		}
	}
}

func TestFakeReportsParametersAndAKeyOfItsOwn(t *testing.T) {
	f := NewFake(t, AcceptLogin(map[string]string{"server_version": "16.9", "x": "y"}), WaitEOF())
	a, b := mustLogin(t, f), mustLogin(t, f)
	for name, want := range map[string]string{
		"server_version": "16.9", "x": "y", "session_authorization": "app", "client_encoding": "UTF8",
	} {
		if got := a.ParameterStatus(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a.PID() == b.PID() || string(a.SecretKey()) == string(b.SecretKey()) {
		t.Errorf("two connections share process id %d or key", a.PID())
	}
	if f.Count() != 2 || f.Accepted() != 2 {
		t.Errorf("count %d, accepted %d", f.Count(), f.Accepted())
	}
	_ = a.Close(t.Context())
	eventually(t, "one connection is left", func() bool { return f.Count() == 1 })
}

func TestFakeRecordsCancelRequests(t *testing.T) {
	f := NewFake(t, AcceptLogin(nil), WaitEOF())
	conn := mustLogin(t, f)
	if err := conn.CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Script(RecordCancel())
	if err := conn.CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.Cancels()
	if len(got) != 2 || got[0] != got[1] || got[0] != (Cancel{PID: 7001, Key: 0x5ec4e701, Secret: "\x5e\xc4\xe7\x01"}) {
		t.Errorf("recorded %x", got)
	}
	if got[0].PID != conn.PID() || f.Accepted() != 3 {
		t.Errorf("process id %d, %d connections", conn.PID(), f.Accepted())
	}
}

func TestFakeRefusesEncryptionAndReadsOn(t *testing.T) {
	f := NewFake(t, AcceptLogin(nil), WaitEOF())
	conn, err := net.Dial("tcp", f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, m := range []pgproto3.FrontendMessage{&pgproto3.GSSEncRequest{}, &pgproto3.SSLRequest{}} {
		b, err := m.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 1)
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'N' {
			t.Fatalf("%T: answer %q, %v", m, answer, err)
		}
	}
	start, err := (&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "app"},
	}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(start); err != nil {
		t.Fatal(err)
	}
	m, err := pgproto3.NewFrontend(pgproto3.NewChunkReader(conn), conn).Receive()
	if _, ok := m.(*pgproto3.AuthenticationOk); !ok {
		t.Errorf("got %T, %v", m, err)
	}
}

func TestFakeAnswersQueriesByBothProtocols(t *testing.T) {
	rows := []pgproto3.BackendMessage{
		&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
			{Name: []byte("n"), DataTypeOID: 25, DataTypeSize: -1},
		}},
		&pgproto3.DataRow{Values: [][]byte{[]byte("42")}},
		&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
	}
	bad := &pgproto3.ErrorResponse{Severity: "ERROR", Code: "22012", Message: "division by zero"}
	f := NewFake(t, AcceptLogin(nil), AnswerQueries(map[string][]pgproto3.BackendMessage{
		"select n": rows, "bad": {bad}, "begin": {
			&pgproto3.CommandComplete{CommandTag: []byte("BEGIN")}, &pgproto3.ReadyForQuery{TxStatus: 'T'},
		},
	}))
	conn := mustLogin(t, f)
	res, err := conn.Exec(t.Context(), "select n").ReadAll()
	if err != nil || string(res[0].Rows[0][0]) != "42" {
		t.Errorf("simple: %v, %v", res, err)
	}
	if r := conn.ExecParams(t.Context(), "select n", nil, nil, nil, nil).Read(); r.Err != nil || string(r.Rows[0][0]) != "42" {
		t.Errorf("extended: %+v", r)
	}
	st, err := conn.Prepare(t.Context(), "s1", "select n", nil)
	if err != nil || len(st.Fields) != 1 {
		t.Fatalf("prepare: %+v, %v", st, err)
	}
	if r := conn.ExecPrepared(t.Context(), "s1", nil, nil, nil).Read(); r.Err != nil || string(r.Rows[0][0]) != "42" {
		t.Errorf("prepared: %+v", r)
	}
	if err := conn.Deallocate(t.Context(), "s1"); err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(t.Context(), "bad").ReadAll(); sqlState(err) != "22012" {
		t.Errorf("simple error: %v", err)
	}
	if r := conn.ExecParams(t.Context(), "bad", nil, nil, nil, nil).Read(); sqlState(r.Err) != "22012" {
		t.Errorf("extended error: %v", r.Err)
	}
	if _, err := conn.Exec(t.Context(), "anything else").ReadAll(); err != nil {
		t.Errorf("default: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "begin").ReadAll(); err != nil || conn.TxStatus() != 'T' {
		t.Errorf("begin: state %c, %v", conn.TxStatus(), err)
	}
}

func TestFakeFollowsItsScript(t *testing.T) {
	z, err := (&pgproto3.ReadyForQuery{TxStatus: 'I'}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := NewFake(t, AcceptLogin(nil),
		Loop(Expect('Q', "select"), Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")}), SendBytes(z)))
	conn := mustLogin(t, f)
	for range 3 {
		if _, err := conn.Exec(t.Context(), "select").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close(t.Context()) // Terminate at the start of a round is no fault
	eventually(t, "the script has ended", func() bool { return f.Count() == 0 })

	f.Script(Fatal("53300", "too many"))
	if _, err := login(t, f, ""); sqlState(err) != "53300" {
		t.Errorf("got %v", err)
	}

	f.Script(CloseHard())
	if err := firstRead("tcp", f.Addr()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after CloseHard: %v", err)
	}

	wake, cancel := context.WithCancel(t.Context())
	f.Script(AcceptLogin(nil), Hang(wake), Expect('Q', ""), Send(&pgproto3.EmptyQueryResponse{}, idle), Hang())
	conn = mustLogin(t, f)
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select").ReadAll()
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("a hanging server answered: %v", err)
	default:
	}
	cancel()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestFakeReportsWhatItDidNotExpect(t *testing.T) {
	query := func(sql string) func(*testing.T, *pgconn.PgConn) {
		return func(t *testing.T, c *pgconn.PgConn) { _, _ = c.Exec(t.Context(), sql).ReadAll() }
	}
	closing := func(t *testing.T, c *pgconn.PgConn) { _ = c.Close(t.Context()) }
	hanging := func(t *testing.T, c *pgconn.PgConn) { _ = c.Conn().Close() }
	for _, tc := range []struct {
		name   string
		script []Step
		act    func(*testing.T, *pgconn.PgConn)
		want   []string
	}{
		{
			"other text",
			[]Step{Expect('Q', "select 1")},
			query("select 2"),
			[]string{`'Q' with "select 1"`, "select 2", "connection 1"},
		},
		{"other type", []Step{Expect('P', "")}, query("select 2"), []string{"step 2", "'P'", "Query"}},
		{"early end", []Step{Expect('Q', "x")}, hanging, []string{"'Q' with \"x\"", "end of the connection"}},
		{"early goodbye", []Step{Expect('Q', "x")}, closing, []string{"'Q' with \"x\"", "Terminate"}},
		{"no end", []Step{WaitEOF()}, query("select 2"), []string{"the end of the connection", "select 2"}},
		{"copy", []Step{AnswerQueries(nil)}, func(t *testing.T, c *pgconn.PgConn) {
			_, _ = c.Conn().Write([]byte{'c', 0, 0, 0, 4})
			_, _ = io.Copy(io.Discard, c.Conn())
		}, []string{"extended protocol", "CopyDone"}},
		{"login for a cancel", nil, func(t *testing.T, c *pgconn.PgConn) {}, []string{"cancel request", "app"}},
		{"mid loop", []Step{Loop(Expect('Q', "a"), Send(idle), Expect('Q', "b"))}, func(t *testing.T, c *pgconn.PgConn) {
			_, _ = c.Exec(t.Context(), "a").ReadAll()
			_ = c.Close(t.Context())
		}, []string{"step 2", "step 3", "Terminate"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := record(t, func(r *recorder) {
				script := append([]Step{AcceptLogin(nil)}, tc.script...)
				if tc.script == nil {
					script = []Step{RecordCancel()}
				}
				f := NewFake(r, script...)
				if conn, err := login(t, f, ""); err == nil {
					tc.act(t, conn)
				}
				eventually(t, "the fake reports", func() bool { return r.text() != "" })
			})
			wantError(t, errors.New(r.text()), tc.want...)
		})
	}
}

func TestFakeKeepsQuietWhenClientsLeaveAsTheyMay(t *testing.T) {
	r := record(t, func(r *recorder) {
		f := NewFake(r, AcceptCleartext("x"), AnswerQueries(nil))
		probe, err := net.Dial("tcp", f.Addr())
		if err != nil {
			r.Errorf("%v", err)
			return
		}
		_ = probe.Close()
		if _, err := login(t, f, "x"); err != nil {
			r.Errorf("%v", err)
		}
		f.Script(AcceptLogin(nil), WaitEOF())
		if _, err := login(t, f, ""); err != nil {
			r.Errorf("%v", err)
		}
		eventually(t, "three connections", func() bool { return f.Accepted() == 3 })
	}) // the cleanup ends what is open
	if got := r.text(); got != "" {
		t.Errorf("reported %s", got)
	}
}

func TestFakeStopEndsScriptsThatHang(t *testing.T) {
	var conn *pgconn.PgConn
	record(t, func(r *recorder) { conn = mustLogin(t, NewFake(r, AcceptLogin(nil), Hang())) })
	if _, err := conn.Exec(t.Context(), "select").ReadAll(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}
}
