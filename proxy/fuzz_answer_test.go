package proxy

import (
	"bytes"
	"errors"
	"testing"

	"pgguard/proxy/wire"
)

// FuzzPasswordAnswer: whatever stands in the place of a password, it is read or refused, and no more is kept of it than was sent.
func FuzzPasswordAnswer(f *testing.F) {
	f.Add([]byte("p\x00\x00\x00\x0chunter2\x00"), 1024)
	f.Add(wire.AppendMessage(nil, wire.Password, []byte("SCRAM-SHA-256\x00\x00\x00\x00\x0bn,,n=,r=abc")), 1024)
	f.Add([]byte("p\xff\xff\xff\xff"), 65535)
	f.Add([]byte("X\x00\x00\x00\x04"), 4)
	f.Fuzz(func(t *testing.T, sent []byte, most int) {
		most &= 0xffff
		body, err := readAnswer(bytes.NewReader(sent), most)
		if err != nil {
			return
		}
		if len(body) > most || len(body) > len(sent) {
			t.Fatalf("%d bytes of %d", len(body), len(sent))
		}
		var r *Refusal
		if password, err := readPassword(body); err == nil && password == "" || err != nil && !errors.As(err, &r) {
			t.Fatalf("password %q, %v", password, err)
		}
		if _, first, err := readInitial(body); err == nil && len(first) > len(body) || err != nil && !errors.As(err, &r) {
			t.Fatalf("%v", err)
		}
	})
}
