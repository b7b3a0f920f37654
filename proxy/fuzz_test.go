package proxy

import (
	"bytes"
	"testing"

	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// sorted passes a server's stream through a backend in pieces of the given sizes, as one that owes what marks say, and
// returns what is for the client. An error ends the stream.
func sorted(stream, marks, sizes []byte) (kept []byte, s *session) {
	s = &session{}
	s.ex.reset()
	for _, m := range marks {
		switch m % 8 {
		case 0:
			s.ex.add(markHidden)
		case 1:
			s.ex.extendedOp(markOurParse, op{})
		case 2:
			s.ex.extendedOp(markOurClose, op{})
		default:
			s.ex.client("   QBdSE"[m%8])
		}
	}
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
		keep, err := b.sort(s)
		kept = append(kept, b.in.Data[keep[0]:keep[1]]...)
		if err != nil {
			break
		}
	}
	return kept, s
}

// subsequence is true if part can be had from whole by leaving bytes out.
func subsequence(part, whole []byte) bool {
	for _, c := range part {
		i := bytes.IndexByte(whole, c)
		if i < 0 {
			return false
		}
		whole = whole[i+1:]
	}
	return true
}

// FuzzFraming passes any bytes of a server, in pieces of any sizes, through a backend: no panic, nothing is made up, what
// answers a query of ours does not pass, and the pieces make no difference.
func FuzzFraming(f *testing.F) {
	answer := wire.AppendReady(wire.AppendText(wire.AppendEmpty(nil, wire.ParseComplete), wire.CommandComplete, "BEGIN"), 'T')
	f.Add(append(answer, answer...), []byte{0, 3}, []byte{0})
	f.Add(append(answer, answer...), []byte{1, 5, 7}, []byte{4, 1, 9})
	f.Add(wire.AppendText(nil, wire.ErrorResponse, "SFATAL", "VFATAL", "C57P01", "Mgone", ""), []byte{3}, []byte{3})
	f.Add(wire.AppendText(nil, wire.ParameterStatus, "TimeZone", "UTC"), []byte{}, []byte{2})
	f.Add([]byte{'G', 0, 0, 0, 7, 0, 0, 0, 'D', 0, 1, 0, 0, 'x'}, []byte{3, 5, 6}, []byte{255, 1})
	f.Add([]byte{'D', 0, 0, 0, 3}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, stream, marks, sizes []byte) {
		whole, s := sorted(stream, marks, nil)
		if !subsequence(whole, stream) {
			t.Fatalf("%q became %q", stream, whole)
		}
		pieces, s2 := sorted(stream, marks, sizes)
		if !bytes.Equal(whole, pieces) {
			t.Fatalf("whole: %q\npieces: %q", whole, pieces)
		}
		if s.ex.quiet() != s2.ex.quiet() || s.ex.status != s2.ex.status || s.ex.owed() != s2.ex.owed() {
			t.Fatalf("whole: %+v\npieces: %+v", s.ex, s2.ex)
		}
		if len(marks) > 0 && marks[0]%8 == 0 && !bytes.Contains(stream, []byte{wire.ReadyForQuery}) &&
			!bytes.ContainsAny(stream, string([]byte{wire.ParameterStatus, wire.NotificationResponse})) && len(whole) > 0 {
			t.Fatalf("%q of the answer to a query of ours passed", whole)
		}
	})
}

func TestHiddenAnswersAreRemoved(t *testing.T) {
	const hiddenQuery, hiddenParse, bind, sync = 0, 1, 4, 6 // for sorted
	begin := wire.AppendReady(wire.AppendText(nil, wire.CommandComplete, "BEGIN"), 'T')
	parsed := wire.AppendEmpty(nil, wire.ParseComplete)
	own := wire.AppendText(wire.AppendEmpty(nil, wire.BindComplete), wire.DataRow, "a row longer than a piece")
	own = wire.AppendReady(own, 'T')
	stream := bytes.Join([][]byte{begin, begin, parsed, own}, nil)
	for size := range byte(80) {
		got, s := sorted(stream, []byte{hiddenQuery, hiddenQuery, hiddenParse, bind, sync}, []byte{size})
		if !bytes.Equal(got, own) || !s.ex.quiet() {
			t.Fatalf("pieces of %d: the client gets %q, want %q", size+1, got, own)
		}
	}
}
