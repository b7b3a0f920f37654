package upstream

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// TestWhatALoginRaisesIsOfWhoLogsIn: an event trigger's function may raise any code, and says nothing of the server by it.
func TestWhatALoginRaisesIsOfWhoLogsIn(t *testing.T) {
	for _, code := range []string{"P0001", "XX000", "53300", "57014", "57P03", "08006", "58030"} {
		m, err := (&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "no", Where: "PL/pgSQL function deny() line 2 at RAISE"}).Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		var rejected *pool.RejectedError
		if err := Classify(ParseError(m[wire.HeaderSize:])); !errors.As(err, &rejected) {
			t.Errorf("%s: %T", code, err)
		}
	}
}

// TestLastHostsWordCounts: why no other host was tried.
func TestLastHostsWordCounts(t *testing.T) {
	err := HostsError{{"a", refusal("57P03", "starting up")}, {"b", refusal("28P01", "wrong password")}}
	var rejected *pool.RejectedError
	if !ForPassword(err) || !errors.As(Classify(err), &rejected) {
		t.Errorf("%v is not for the password", err)
	}
}

// TestRefusedTokensAreRenewed: where the server has somebody else look at the password, which is told in clear text, as clouds do with tokens, PostgreSQL has
// another code for one that is wrong. The program that gave it is run again all the same.
func TestRefusedTokensAreRenewed(t *testing.T) {
	for what, x := range map[string]struct {
		asks uint32
		code string
		want int
	}{
		"by PostgreSQL": {pgproto3.AuthTypeCleartextPassword, "28P01", 2},
		"by PAM":        {pgproto3.AuthTypeCleartextPassword, "28000", 2},
		"by pg_hba":     {0, "28000", 1},
	} {
		dir := t.TempDir()
		program, runs := filepath.Join(dir, "program"), filepath.Join(dir, "runs")
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho run >> "+runs+"\necho token\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		steps := []pgtest.Step{pgtest.RefuseVersions("")}
		if x.asks != 0 {
			steps = append(steps, pgtest.Send(&pgproto3.AuthenticationCleartextPassword{}), pgtest.Expect('p', "token"))
		}
		d := doorTo(t, pgtest.NewFake(t, append(steps, pgtest.Fatal(x.code, "authentication failed for user \"app\""))...))
		d.Source = auth.NewSource("", []string{program}, time.Hour)
		if _, _, err := d.Source.Password(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.LogIn(t.Context(), &Handshake{User: "app", Params: map[string]string{"user": "app"}}); err == nil {
			t.Error("it was let in")
		}
		text, err := os.ReadFile(runs)
		if n := strings.Count(string(text), "run"); n != x.want || err != nil {
			t.Errorf("%s: run %d times, want %d; %v", what, n, x.want, err)
		}
	}
}

// TestServerThatCannotForkIsHeard: it says why in the words of a protocol that is long gone.
func TestServerThatCannotForkIsHeard(t *testing.T) {
	const why = "could not fork new process for connection: Cannot allocate memory"
	fake := pgtest.NewFake(t, pgtest.SendBytes([]byte("E"+why+"\n\x00")))
	_, err := enter(t, fake, "", patience)
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v", err)
	}
}
