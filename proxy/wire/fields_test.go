package wire

import (
	"testing"

	"github.com/jackc/pgproto3/v2"
)

// body encodes an error with pgproto3 and cuts the header off.
func body(t *testing.T, e *pgproto3.ErrorResponse) []byte {
	t.Helper()
	raw, err := e.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw[HeaderSize:]
}

func TestParseErrorReadsTheUntranslatedSeverity(t *testing.T) {
	f, err := ParseError(body(t, &pgproto3.ErrorResponse{Severity: "FATALE", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "fin"}))
	if err != nil || !f.Fatal() || string(f.Code) != "57P01" || string(f.Message) != "fin" {
		t.Errorf("%s, %v", f, err)
	}
	// Older than 9.6: no V. Fields in any order.
	f, err = ParseError([]byte("Mx\x00C08006\x00SPANIC\x00\x00"))
	if err != nil || !f.Fatal() {
		t.Errorf("%s, %v", f, err)
	}
	f, err = ParseError([]byte("VERROR\x00SFATAL\x00C42601\x00\x00"))
	if err != nil || f.Fatal() {
		t.Errorf("an ERROR translated as FATAL is fatal: %s, %v", f, err)
	}
	for _, bad := range []string{"", "S", "SERROR", "SERROR\x00"} {
		if _, err := ParseError([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestDemotedKeepsEveryOtherField(t *testing.T) {
	in := pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "terminating connection",
		Hint: "h", Where: "w", File: "postgres.c", Line: 3, Routine: "ProcessInterrupts",
	}
	for _, own := range []string{"", "the server's own"} {
		in.Detail = own
		out, err := AppendDemoted(nil, body(t, &in), "the guard's")
		if err != nil {
			t.Fatal(err)
		}
		var got pgproto3.ErrorResponse
		if err := got.Decode(out[HeaderSize:]); err != nil {
			t.Fatal(err)
		}
		want := in
		want.Severity, want.SeverityUnlocalized = "ERROR", "ERROR"
		if want.Detail == "" {
			want.Detail = "the guard's"
		}
		got.UnknownFields, want.UnknownFields = nil, nil
		if g, w := encoded(t, got), encoded(t, want); g != w {
			t.Errorf("got %q, want %q", g, w)
		}
	}
}

func encoded(t *testing.T, e pgproto3.ErrorResponse) string { t.Helper(); return string(body(t, &e)) }
