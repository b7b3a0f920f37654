package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgproto3/v2"
)

// framed is one message as Peek found it.
type framed struct {
	typ  byte
	body string
}

// frames reads the messages of stream as they come in pieces of the given sizes, used over and over.
func frames(stream []byte, sizes []byte) (out []framed, held []byte, err error) {
	for i := 0; len(stream) > 0; i++ {
		n := 1
		if len(sizes) > 0 {
			n = min(1+int(sizes[i%len(sizes)]), len(stream))
		}
		held, stream = append(held, stream[:n]...), stream[n:]
		for {
			typ, size, ok, err := Peek(held)
			if err != nil {
				return out, held, err
			}
			if !ok || size > len(held) {
				break
			}
			out = append(out, framed{typ, string(held[HeaderSize:size])})
			held = held[size:]
		}
	}
	return out, held, nil
}

// FuzzPeek feeds any bytes in pieces of any sizes: what comes out, framed again, is what went in, and the pieces make no
// difference.
func FuzzPeek(f *testing.F) {
	f.Add(AppendText(AppendReady(nil, Idle), Query, "select 1"), []byte{0, 3})
	f.Add(AppendEmpty(AppendEmpty(nil, Sync), Terminate), []byte{})
	f.Add([]byte{'Q', 0, 0, 0, 3}, []byte{1})
	f.Add([]byte{'Q', 0x40, 0, 0, 0}, []byte{9})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		whole, rest, err := frames(stream, []byte{255})
		pieces, rest2, err2 := frames(stream, sizes)
		if len(whole) != len(pieces) || !bytes.Equal(rest[:min(5, len(rest))], rest2[:min(5, len(rest2))]) && err == nil || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %v, %x, %v; in pieces: %v, %x, %v", whole, rest, err, pieces, rest2, err2)
		}
		var again []byte
		for i, m := range whole {
			if pieces[i] != m {
				t.Fatalf("message %d is %v whole and %v in pieces", i, m, pieces[i])
			}
			again = append(again, m.typ)
			again = binary.BigEndian.AppendUint32(again, uint32(4+len(m.body)))
			again = append(again, m.body...)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("%x framed again is %x", stream, again)
		}
	})
}

// FuzzStartup reads any first packet: no panic, nothing read after its end, and pgproto3 agrees about what it holds.
func FuzzStartup(f *testing.F) {
	good, err := (&pgproto3.StartupMessage{ProtocolVersion: Version30, Parameters: map[string]string{"user": "u", "a": "b"}}).Encode(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0, 0, 0, 8, 4, 210, 22, 47})
	f.Add([]byte{0, 0, 0, 8, 4, 210, 22, 48})
	f.Add(AppendCancel(nil, 7, []byte("four")))
	f.Add([]byte{0, 0, 0, 9, 0, 3, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		r := bytes.NewReader(packet)
		s, err := ReadStartup(iotest.OneByteReader(r))
		if read := len(packet) - r.Len(); err == nil && uint32(read) != binary.BigEndian.Uint32(packet) {
			t.Fatalf("%d bytes were read of a packet of %d", read, binary.BigEndian.Uint32(packet))
		} else if read > maxStartup {
			t.Fatalf("%d bytes were read", read)
		}
		if err != nil || s.Kind != KindStartup || s.Version>>16 != 3 {
			return
		}
		var judge pgproto3.StartupMessage
		if judge.Decode(packet[4:len(packet)-r.Len()]) != nil {
			return // it knows version 3.0 only
		}
		got := map[string]string{}
		for _, p := range s.Params {
			got[p.Name] = p.Value
		}
		for name, value := range judge.Parameters {
			if got[name] != value {
				t.Fatalf("%q is %q, pgproto3 reads %q", name, got[name], value)
			}
		}
		if len(got) != len(judge.Parameters) {
			t.Fatalf("got %v, pgproto3 reads %v", got, judge.Parameters)
		}
	})
}

// FuzzError reads the body of any error: no panic, and what was demoted is an ERROR with every other field unchanged.
func FuzzError(f *testing.F) {
	f.Add([]byte("SFATAL\x00VFATAL\x00C57P01\x00Mgone\x00\x00"), "kept")
	f.Add([]byte("SERREUR\x00VERROR\x00C42601\x00Mno\x00Dwhy\x00\x00"), "kept")
	f.Add([]byte("\x00"), "")
	f.Add([]byte("Sx"), "")
	f.Fuzz(func(t *testing.T, body []byte, detail string) {
		detail = strings.ReplaceAll(detail, "\x00", "")
		before, err := ParseError(body)
		out, err2 := AppendDemoted([]byte("before"), body, detail)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("ParseError says %v, AppendDemoted %v", err, err2)
		}
		if err != nil {
			if string(out) != "before" {
				t.Fatalf("left %q after an error", out)
			}
			return
		}
		out = bytes.TrimPrefix(out, []byte("before"))
		typ, size, ok, err := Peek(out)
		if typ != ErrorResponse || size != len(out) || !ok || err != nil {
			t.Fatalf("%q is not one message", out)
		}
		after, err := ParseError(out[HeaderSize:])
		if err != nil || after.Fatal() || !bytes.Equal(before.Code, after.Code) || !bytes.Equal(before.Message, after.Message) {
			t.Fatalf("%q became %q: %v", body, out, err)
		}
		if before.Severity != nil && string(after.Severity) != "ERROR" {
			t.Fatalf("severity is %q", after.Severity)
		}
	})
}

// A body that is read and a reader that gives one byte at a time or breaks must not matter to who frames by Peek.
func TestMessagesSurviveOneByteAtATime(t *testing.T) {
	stream := AppendReady(AppendText(AppendEmpty(nil, ParseComplete), CommandComplete, "SELECT 1"), InTransaction)
	all, err := io.ReadAll(iotest.OneByteReader(bytes.NewReader(stream)))
	if err != nil {
		t.Fatal(err)
	}
	got, rest, err := frames(all, nil)
	if err != nil || len(rest) != 0 || len(got) != 3 || got[1] != (framed{CommandComplete, "SELECT 1\x00"}) {
		t.Errorf("got %v, rest %x, %v", got, rest, err)
	}
}
