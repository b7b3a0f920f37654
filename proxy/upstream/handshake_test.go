package upstream

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// TestVersionIsNotBlamedForOtherFailures: once a server has taken 3.2, and for errors of other kinds, there is no
// second try.
func TestVersionIsNotBlamedForOtherFailures(t *testing.T) {
	fatal := func(code string) error { return &Error{Code: code} }
	for _, c := range []struct {
		h     Handshake
		err   error
		known bool
		want  bool
	}{
		{Handshake{}, fatal("0A000"), false, true},
		{Handshake{}, fatal("0A000"), true, true},
		{Handshake{}, fatal("57P03"), false, false},
		{Handshake{}, fatal("53300"), false, false},
		{Handshake{accepted: true}, fatal("0A000"), false, false},
		{Handshake{}, io.EOF, false, true},
		{Handshake{}, io.EOF, true, false},
		{Handshake{answered: true}, io.EOF, false, false},
		{Handshake{}, errors.New("connection reset"), false, false},
		{Handshake{}, nil, false, false},
	} {
		if got := c.h.rejectsVersion(c.err, c.known); got != c.want {
			t.Errorf("%v known=%v %+v: got %v", c.err, c.known, c.h, got)
		}
	}
}

// TestAbsurdLoginsAreErrors: what no server may say at a login ends it, with the reason.
func TestAbsurdLoginsAreErrors(t *testing.T) {
	secret := func(n int) []byte { return wire.AppendKey(nil, 1, make([]byte, n)) }
	for want, says := range map[string][]byte{
		"server wants protocol 3.9, which was not asked for": wire.AppendNegotiate(nil, 3<<16|9, nil),
		"server wants protocol 2.0, which was not asked for": wire.AppendNegotiate(nil, 2<<16, nil),
		"malformed NegotiateProtocolVersion":                 wire.AppendMessage(nil, wire.NegotiateVersion, []byte{0, 3}),
		"malformed BackendKeyData":                           secret(3),
		"malformed BackendKeyData ":                          secret(MaxSecret + 1),
	} {
		fake := pgtest.NewFake(t, pgtest.Speak(wire.Version32, nil), pgtest.RefuseVersions(""), pgtest.SendBytes(says), pgtest.WaitEOF())
		nc, err := net.Dial("tcp", fake.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		h := Handshake{Params: map[string]string{"user": "postgres"}}
		if err := h.run(nc, wire.Version32); err == nil || err.Error() != strings.TrimSpace(want) {
			t.Errorf("got %v, want %s", err, want)
		}
		_ = nc.Close()
	}
}
