package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// doorTo is the way into a fake server.
func doorTo(t *testing.T, fake *pgtest.Fake) *Door {
	t.Helper()
	host, port, err := net.SplitHostPort(fake.Addr())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return NewDoor(Upstream{Host: host, Port: n, User: "app"})
}

// enter logs in to a fake server as user app, within patience.
func enter(t *testing.T, fake *pgtest.Fake, password string, patience time.Duration) (*Handshake, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	h := &Handshake{User: "app", Password: password, Params: map[string]string{"user": "app", "database": "shop"}}
	err := doorTo(t, fake).LogIn(ctx, h)
	if err == nil {
		t.Cleanup(func() { _ = h.Conn.Close() })
	}
	return h, err
}

// ask is an authentication request.
func ask(method uint32, data string) []byte {
	return wire.AppendMessage(nil, wire.Authentication, append(binary.BigEndian.AppendUint32(nil, method), data...))
}

const patience = 20 * time.Second

// allocated runs f and returns how many bytes were allocated meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestLoginAllocatesNothingThatIsOnlyAnnounced: a length that no message of a login has ends it at once, whatever the message, before
// and after the server has let the guard in.
func TestLoginAllocatesNothingThatIsOnlyAnnounced(t *testing.T) {
	for _, typ := range "REKNSZv!" {
		for _, length := range []uint32{0, 1, 2, 3, 1 << 20, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			for name, before := range map[string][]byte{"": nil, " after AuthenticationOk": ask(0, "")} {
				head := binary.BigEndian.AppendUint32([]byte{byte(typ)}, length)
				fake := pgtest.NewFake(t, pgtest.RefuseVersions(""), pgtest.SendBytes(slices.Concat(before, head)), pgtest.WaitEOF())
				var err error
				if n := allocated(func() { _, err = enter(t, fake, "secret", patience) }); n > 4<<20 {
					t.Errorf("%q of %d%s: %d bytes were allocated", typ, length, name, n)
				}
				if err == nil || !strings.Contains(err.Error(), "absurd length") {
					t.Errorf("%q of %d%s: got %v", typ, length, name, err)
				}
			}
		}
	}
}

// TestServerMustProveThatItKnowsThePassword: a server that leaves out its part of SCRAM, or changes the method in the middle, is
// no server of ours, and is not told the password.
func TestServerMustProveThatItKnowsThePassword(t *testing.T) {
	sasl := ask(pgproto3.AuthTypeSASL, auth.Mechanism+"\x00\x00")
	end := append(ask(0, ""), wire.AppendReady(wire.AppendKey(nil, 1, []byte("1234")), wire.Idle)...)
	offer, first, rest := pgtest.Ask(pgproto3.AuthTypeSASL, sasl), pgtest.Expect('p', auth.Mechanism), pgtest.WaitEOF()
	for name, steps := range map[string][]pgtest.Step{
		"straight after the offer":         {pgtest.Ask(pgproto3.AuthTypeSASL, slices.Concat(sasl, end)), first, rest},
		"after the first message":          {offer, first, pgtest.SendBytes(end), rest},
		"without a proof":                  {pgtest.SkipProof("secret"), pgtest.SendBytes(end), rest},
		"without a challenge":              {offer, first, pgtest.SendBytes(ask(pgproto3.AuthTypeSASLFinal, "v=AAAA")), rest},
		"clear text behind the offer":      {offer, first, pgtest.SendBytes(ask(pgproto3.AuthTypeCleartextPassword, "")), rest},
		"md5 behind the offer":             {offer, first, pgtest.SendBytes(ask(pgproto3.AuthTypeMD5Password, "salt")), rest},
		"a second offer":                   {offer, first, pgtest.SendBytes(sasl), rest},
		"ready without AuthenticationOk":   {pgtest.SendBytes(wire.AppendReady(nil, wire.Idle)), rest},
		"settings before AuthenticationOk": {pgtest.SendBytes(wire.AppendText(nil, wire.ParameterStatus, "a", "b")), rest},
		"a key before AuthenticationOk":    {pgtest.SendBytes(wire.AppendKey(nil, 1, []byte("1234"))), rest},
		"asked after AuthenticationOk":     {pgtest.SendBytes(append(ask(0, ""), ask(pgproto3.AuthTypeCleartextPassword, "")...)), rest},
		"a challenge out of nowhere":       {pgtest.SendBytes(ask(pgproto3.AuthTypeSASLContinue, "r=x,s=c2FsdA==,i=4096")), rest},
		"in a transaction":                 {pgtest.SendBytes(append(ask(0, ""), wire.AppendReady(nil, wire.Failed)...)), rest},
		"ready without a state":            {pgtest.SendBytes(append(ask(0, ""), wire.AppendEmpty(nil, wire.ReadyForQuery)...)), rest},
	} {
		t.Run(name, func(t *testing.T) {
			fake := pgtest.NewFake(t, append([]pgtest.Step{pgtest.RefuseVersions("")}, steps...)...)
			if _, err := enter(t, fake, "secret", patience); err == nil {
				t.Error("it was believed")
			} else if strings.Contains(err.Error(), "read:") {
				t.Errorf("got %v, want a refusal of the guard's own", err)
			}
		})
	}
}

// TestScramIterationsAreBounded: what a server has the guard compute is a matter of milliseconds, whatever it asks for.
func TestScramIterationsAreBounded(t *testing.T) {
	for _, count := range []string{"0", "-1", "1000001", "2147483647", "4294967296", "99999999999999999999", "x", ""} {
		fake := pgtest.NewFake(t, pgtest.RefuseVersions(""), pgtest.Challenge("s=c2FsdHNhbHQ=,i="+count), pgtest.WaitEOF())
		start := time.Now()
		_, err := enter(t, fake, "secret", patience)
		if err == nil || !strings.Contains(err.Error(), "iterations") {
			t.Errorf("i=%s: got %v", count, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("i=%s: took %s", count, took)
		}
	}
}

// TestLoginEndsAtItsTimeout: a server that goes on talking does not go on for longer than that.
func TestLoginEndsAtItsTimeout(t *testing.T) {
	notice := wire.AppendMessage(nil, wire.NoticeResponse, []byte("SWARNING\x00C01000\x00Mwait\x00\x00"))
	for name, steps := range map[string][]pgtest.Step{
		"a byte at a time": {pgtest.Trickle(notice, 50*time.Millisecond)},
		"notices":          {pgtest.Trickle(notice, time.Millisecond)},
		"nothing":          {pgtest.Hang()},
		"half a length":    {pgtest.SendBytes([]byte("R\x00\x00")), pgtest.Hang()},
	} {
		t.Run(name, func(t *testing.T) {
			fake := pgtest.NewFake(t, append([]pgtest.Step{pgtest.RefuseVersions("")}, steps...)...)
			start := time.Now()
			_, err := enter(t, fake, "", 300*time.Millisecond)
			if took := time.Since(start); !isTimeout(err) || took > 3*time.Second {
				t.Errorf("got %v after %s", err, took)
			}
		})
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &ne) && ne.Timeout())
}

// TestSettingsAtALoginAreKeptOnce: a server may say again what it reports; more settings, or more bytes, than any PostgreSQL has
// end the login.
func TestSettingsAtALoginAreKeptOnce(t *testing.T) {
	long := strings.Repeat("x", 60<<10)
	report := func(n int, name func(int) string, value string) (out []byte) {
		for i := range n {
			out = wire.AppendText(out, wire.ParameterStatus, name(i), value)
		}
		return out
	}
	same, other := func(int) string { return "TimeZone" }, func(i int) string { return "s" + strconv.Itoa(i) }
	end := wire.AppendReady(nil, wire.Idle)
	for _, c := range []struct {
		name string
		says []byte
		want string
	}{
		{"again", append(report(10_000, same, "UTC"), end...), ""},
		{"again, long", report(2000, same, long), "does not end within"},
		{"others", report(5000, other, "1"), "more than 256 settings"},
		{"others, long", report(100, other, long), "does not end within"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := pgtest.NewFake(t, pgtest.RefuseVersions(""), pgtest.SendBytes(append(ask(0, ""), c.says...)), pgtest.WaitEOF())
			h, err := enter(t, fake, "", patience)
			if c.want == "" {
				if err != nil || len(h.Reported) != 1 || h.Reported[0] != (Setting{"TimeZone", "UTC"}) {
					t.Errorf("got %v, %v", h.Reported, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestPasswordThatAServerRepeatsIsMasked: a server that was told a password in clear does not get it into a log.
func TestPasswordThatAServerRepeatsIsMasked(t *testing.T) {
	fake := pgtest.NewFake(t, pgtest.RefuseVersions(""), pgtest.Ask(pgproto3.AuthTypeCleartextPassword, ask(pgproto3.AuthTypeCleartextPassword, "")),
		pgtest.Expect('p', "hunter2"), pgtest.Fatal("28P01", "hunter2 is wrong for app"))
	_, err := enter(t, fake, "hunter2", patience)
	var se *Error
	if !errors.As(err, &se) || se.Message != "*** is wrong for app" || strings.Contains(string(se.Body), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// TestLoginErrorsAreOfTheRoleUnlessOfTheServer: what PostgreSQL says against a login is for who logs in, at once; a server that cannot
// serve anybody is waited for.
func TestLoginErrorsAreOfTheRoleUnlessOfTheServer(t *testing.T) {
	for code, rejected := range map[string]bool{
		"28000": true, "28P01": true, "3D000": true, "42501": true, "42704": true, "22023": true, "25001": true, "25006": true,
		"P0001": true, "55000": true, "55006": true, "57P04": true, "58P01": true, "0A000": true, "23505": true, "F0000": true, "57014": false,
		"57P03": false, "57P01": false, "57P02": false, "53200": false, "53100": false, "58030": false, "XX000": false, "08006": false, "": false,
	} {
		_, is := Classify(&Error{Code: code}).(interface{ Unwrap() error })
		if is != rejected {
			t.Errorf("%q: rejected is %t", code, is)
		}
	}
}
