package proxy

import (
	"bytes"
	"testing"
	"time"

	"pgguard/proxy/instance"
	"pgguard/proxy/library"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// everybody has room for all clients that keep a server.
type everybody struct{}

func (everybody) Pin(translate.Pins, bool) bool { return true }
func (everybody) Unpin()                        {}

// anyClient has just logged in.
func anyClient() translate.Client {
	return translate.NewClient(&translate.Terms{
		Library: library.New(1 << 20).Shelf(), StatementAge: time.Second, Catalog: &instance.Catalog{}, Room: everybody{}, MaxPrepared: 8,
		Encoding: func() string { return "UTF8" }, CountsWrites: func() bool { return true },
	})
}

// lent is a link without a session whose client has sent a request of these messages; hidden: a BEGIN of the guard's goes ahead.
func lent(hidden bool, messages ...[]byte) *link {
	client := anyClient()
	server := translate.NewServer()
	l := &link{}
	l.lease.Begin(&client, &server)
	r := getRequest()
	defer putRequest(r)
	var from []byte
	for _, b := range messages {
		m := translate.Message{Type: b[0], Bytes: b}
		m.Look(client.Library)
		client.Note(&r.Request, &m, l.lease.Standing())
		from = append(from, b...)
		if r.Full() {
			break
		}
	}
	var open *translate.Opening
	if hidden {
		open = &translate.Opening{}
	}
	l.lease.Prefix(&r.Request, from, true, open)
	l.lease.Send(&r.Request, from, nil, time.Now())
	return l
}

// sorted passes a server's stream through a backend in pieces of the given sizes, and returns what is for the client. An error ends the
// stream.
func sorted(l *link, stream, sizes []byte) (kept []byte) {
	b := &backend{inst: &instance.Instance{}}
	b.params.Store(&instance.Params{})
	b.in = sock.Borrow()
	defer func() { sock.Return(b.in) }()
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(sizes) > 0 {
			n = 1 + int(sizes[i%len(sizes)])
		}
		b.in.Compact()
		n = copy(b.in.Data[b.in.W:], stream[:min(n, len(stream))])
		b.in.W += n
		stream = stream[n:]
		for more := true; more; more = b.more {
			b.more, b.extra = false, nil
			keep, err := b.sort(l)
			kept = append(append(kept, b.in.Data[keep[0]:keep[1]]...), b.extra...)
			if err != nil {
				return kept
			}
		}
	}
	return kept
}

// requests that the fuzzer chooses from.
var fuzzedRequests = [][][]byte{
	{wire.AppendText(nil, wire.Query, "select 1")},
	{wire.AppendParse(nil, "a", "select 1\x00\x00\x00"), wire.AppendMessage(nil, wire.Bind, []byte("\x00a\x00\x00\x00\x00\x00\x00\x00")),
		wire.AppendMessage(nil, wire.Execute, make([]byte, 5)), wire.AppendEmpty(nil, wire.Sync)},
	{wire.AppendText(nil, wire.Describe, "S"), wire.AppendEmpty(nil, wire.Sync)},
	{wire.AppendParse(nil, "", "copy t from stdin\x00\x00\x00"), wire.AppendMessage(nil, wire.Bind, make([]byte, 8)),
		wire.AppendMessage(nil, wire.Execute, make([]byte, 5)), wire.AppendEmpty(nil, wire.Sync)},
}

// FuzzFraming passes any bytes of a server, in pieces of any sizes, through a backend: no panic, what answers a query of ours does
// not pass, and the pieces make no difference.
func FuzzFraming(f *testing.F) {
	answer := wire.AppendReady(wire.AppendText(wire.AppendEmpty(nil, wire.ParseComplete), wire.CommandComplete, "BEGIN"), 'T')
	f.Add(append(answer, answer...), byte(0), true, []byte{0})
	f.Add(append(answer, answer...), byte(1), true, []byte{4, 1, 9})
	f.Add(wire.AppendText(nil, wire.ErrorResponse, "SFATAL", "VFATAL", "C57P01", "Mgone", ""), byte(2), false, []byte{3})
	f.Add(wire.AppendText(nil, wire.ParameterStatus, "TimeZone", "UTC"), byte(0), false, []byte{2})
	f.Add([]byte{'G', 0, 0, 0, 7, 0, 0, 0, 'D', 0, 1, 0, 0, 'x'}, byte(3), false, []byte{255, 1})
	f.Add([]byte{'D', 0, 0, 0, 3}, byte(0), false, []byte{})
	f.Fuzz(func(t *testing.T, stream []byte, which byte, hidden bool, sizes []byte) {
		request := fuzzedRequests[int(which)%len(fuzzedRequests)]
		one, other := lent(hidden, request...), lent(hidden, request...)
		whole, pieces := sorted(one, stream, nil), sorted(other, stream, sizes)
		if !bytes.Equal(whole, pieces) {
			t.Fatalf("whole: %q\npieces: %q", whole, pieces)
		}
		if one.lease.Quiet() != other.lease.Quiet() || one.lease.Status() != other.lease.Status() || one.lease.Doubt() != other.lease.Doubt() {
			t.Fatalf("whole: %+v\npieces: %+v", &one.lease, &other.lease)
		}
		if hidden && !bytes.Contains(stream, []byte{wire.ReadyForQuery}) &&
			!bytes.ContainsAny(stream, string([]byte{wire.ParameterStatus, wire.NotificationResponse, wire.NoticeResponse})) && len(whole) > 0 {
			t.Fatalf("%q of the answer to a query of ours passed", whole)
		}
	})
}

func TestHiddenAnswersAreRemoved(t *testing.T) {
	begin := wire.AppendReady(wire.AppendText(nil, wire.CommandComplete, "BEGIN"), 'T')
	parsed := wire.AppendEmpty(nil, wire.ParseComplete)
	own := wire.AppendText(wire.AppendEmpty(nil, wire.BindComplete), wire.DataRow, "a row longer than a piece")
	own = wire.AppendText(own, wire.CommandComplete, "SELECT 1")
	own = wire.AppendReady(own, 'T')
	for size := range byte(80) {
		l := lent(true, fuzzedRequests[1]...)
		got := sorted(l, bytes.Join([][]byte{begin, parsed, own}, nil), []byte{size})
		if want := append(parsed[:len(parsed):len(parsed)], own...); !bytes.Equal(got, want) || !l.lease.Quiet() {
			t.Fatalf("pieces of %d: the client gets %q, want %q", size+1, got, want)
		}
	}
}
