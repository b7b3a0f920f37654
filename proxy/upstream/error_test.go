package upstream

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"pgguard/pool"
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

// TestServerThatCannotForkIsHeard: it says why in the words of a protocol that is long gone.
func TestServerThatCannotForkIsHeard(t *testing.T) {
	const why = "could not fork new process for connection: Cannot allocate memory"
	fake := pgtest.NewFake(t, pgtest.SendBytes([]byte("E"+why+"\n\x00")))
	_, err := enter(t, fake, "", patience)
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v", err)
	}
}
