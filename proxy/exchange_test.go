package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// TestExchangeStories runs testdata/exchange/*.txt. Each file is one lease:
//
//	client Q P B E S …       messages of the client, by their type; X: a piece of a longer message, x: its end
//	ours h p k               messages of the guard: h a hidden query, p a Parse, k a Close
//	server ready=T error …   messages of the server, by the words in serverWords
//
// The answer to server is which of them are for the client; then comes the state: quiet, with the transaction's state,
// means that the server may go back if that is I.
func TestExchangeStories(t *testing.T) {
	datadriven.Walk(t, "testdata/exchange", func(t *testing.T, path string) {
		s := &session{}
		s.ex.reset()
		b := &backend{inst: &instance.Instance{}}
		b.params.Store(&instance.Params{})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for _, a := range d.CmdArgs {
				switch d.Cmd {
				case "client":
					clientSends(&s.ex, a.Key[0])
				case "ours":
					if mark := a.Key[0]; carriesOp(mark) {
						s.ex.extendedOp(mark, op{})
					} else {
						s.ex.add(mark)
					}
				case "server":
					if serverSends(t, b, s, a.String()) {
						fmt.Fprintf(&out, "passes %s\n", a.String())
					} else {
						fmt.Fprintf(&out, "hides %s\n", a.String())
					}
				default:
					d.Fatalf(t, "unknown command")
				}
			}
			return out.String() + exchangeState(b, &s.ex) + "\n"
		})
	})
}

func clientSends(e *exchange, typ byte) {
	switch typ {
	case 'X':
		e.partial = true
	case 'x':
		e.partial = false
	default:
		e.client(typ)
	}
}

// serverWords are the messages of a server, as a story calls them.
var serverWords = map[string]pgproto3.BackendMessage{
	"ready=I":   &pgproto3.ReadyForQuery{TxStatus: 'I'},
	"ready=T":   &pgproto3.ReadyForQuery{TxStatus: 'T'},
	"ready=E":   &pgproto3.ReadyForQuery{TxStatus: 'E'},
	"error":     &pgproto3.ErrorResponse{Severity: "ERROR", Code: "42601", Message: "no"},
	"fatal":     &pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01", Message: "no"},
	"copyin":    &pgproto3.CopyInResponse{},
	"copyout":   &pgproto3.CopyOutResponse{},
	"copydata":  &pgproto3.CopyData{Data: []byte("1")},
	"copydone":  &pgproto3.CopyDone{},
	"parsed":    &pgproto3.ParseComplete{},
	"closed":    &pgproto3.CloseComplete{},
	"bound":     &pgproto3.BindComplete{},
	"tag":       &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
	"row":       &pgproto3.DataRow{},
	"suspended": &pgproto3.PortalSuspended{},
	"result":    &pgproto3.FunctionCallResponse{},
	"notice":    &pgproto3.NoticeResponse{Severity: "NOTICE"},
	"notify":    &pgproto3.NotificationResponse{Channel: "c"},
	"setting":   &pgproto3.ParameterStatus{Name: "TimeZone", Value: "UTC"},
}

// serverSends passes one message of the server through a backend and answers whether the client gets it.
func serverSends(t interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}, b *backend, s *session, word string) bool {
	t.Helper()
	m, ok := serverWords[word]
	if !ok {
		t.Fatalf("unknown word %q", word)
	}
	raw := encode(nil, m)
	b.in = sock.Borrow()
	defer func() { sock.Return(b.in); b.in = nil }()
	b.in.W += copy(b.in.Data[b.in.W:], raw)
	keep, err := b.sort(s)
	if err != nil && b.fatal == nil && !s.ex.doubt {
		t.Fatal(err)
	}
	n := keep[1] - keep[0]
	if n != 0 && n != len(raw) {
		t.Fatalf("%s: %d of %d bytes are for the client", word, n, len(raw))
	}
	return n > 0
}

func exchangeState(b *backend, e *exchange) string {
	if b.fatal != nil {
		return fmt.Sprintf("ended, owing the client %d", e.owed())
	}
	if e.doubt {
		return fmt.Sprintf("in doubt, owing the client %d", e.owed())
	}
	if e.quiet() {
		return fmt.Sprintf("quiet %c", e.status)
	}
	words := []string{fmt.Sprintf("busy, owes %d", e.owed())}
	for word, is := range map[string]bool{"unsynced": e.unsynced, "partial": e.partial, "copy-in": e.copyIn} {
		if is {
			words = append(words, word)
		}
	}
	slices.Sort(words[1:])
	return strings.Join(words, ", ")
}

func TestExchangeBoundsHowFarAClientRunsAhead(t *testing.T) {
	var e exchange
	e.reset()
	for range maxMarks {
		if !e.client(wire.Sync) {
			t.Fatal("refused too early")
		}
	}
	if e.client(wire.Sync) {
		t.Error("one more than maxMarks was taken")
	}
}

func TestExchangeForgetsWhatIsDone(t *testing.T) {
	var e exchange
	e.reset()
	for range 100_000 {
		e.client(wire.Query)
		e.ready(wire.Idle)
	}
	if !e.quiet() || cap(e.marks) > 64 {
		t.Errorf("quiet=%v, room for %d marks is kept after one at a time", e.quiet(), cap(e.marks))
	}
}
