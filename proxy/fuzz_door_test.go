package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/auth"
	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// visitor is a connection of a stranger who says what it says, one piece after the other, and goes.
type visitor struct {
	net.Conn
	says  bytes.Reader
	piece int // bytes at once
	heard []byte
}

func (v *visitor) Read(p []byte) (int, error) { return v.says.Read(p[:min(len(p), v.piece)]) }

func (v *visitor) Write(p []byte) (int, error) {
	v.heard = append(v.heard, p...)
	return len(p), nil
}

func (v *visitor) Close() error                     { return nil }
func (v *visitor) SetDeadline(time.Time) error      { return nil }
func (v *visitor) SetReadDeadline(time.Time) error  { return nil }
func (v *visitor) SetWriteDeadline(time.Time) error { return nil }
func (v *visitor) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1} }
func (v *visitor) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 6432} }

// deaf is a listener that has an address and no more.
type deaf struct{ net.Listener }

func (deaf) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 6432} }

// fuzzedTLS is TLS with a certificate of this process's own.
var fuzzedTLS = sync.OnceValue(func() *tls.Config {
	ca, err := auth.NewAuthority("fuzz", time.Hour)
	if err != nil {
		panic(err)
	}
	p, err := ca.Issue("localhost", []string{"localhost"}, time.Now(), time.Hour)
	if err != nil {
		panic(err)
	}
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{auth.ALPN}}
})

// packet is a start-up packet of these pairs.
func packet(version uint32, params ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, version)
	for _, p := range params {
		body = append(append(body, p...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(4+len(body))), body...)
}

// FuzzDoor has a stranger say anything up to its start-up packet: each question about encryption is answered once, by one byte, nothing that was said in
// clear is taken for what came over TLS, and who must come over TLS is let no further without. What its packet says is sorted or refused.
func FuzzDoor(f *testing.F) {
	ssl, gss := []byte{0, 0, 0, 8, 4, 210, 22, 47}, []byte{0, 0, 0, 8, 4, 210, 22, 48}
	hello := packet(wire.Version30, "user", "app", "database", "shop", "options", `-c a.b=c\ d --guard-class=low -cTimeZone=UTC`, "_pq_.x", "1", "replication", "database")
	for mode := range byte(3) {
		f.Add(hello, mode, byte(255))
		f.Add(append(append([]byte(nil), gss...), append(ssl, hello...)...), mode, byte(0))
		f.Add(append(append([]byte(nil), ssl...), ssl...), mode, byte(3))
		f.Add(wire.AppendCancel(nil, 7, []byte("four")), mode, byte(9))
		f.Add([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}, mode, byte(9))
	}
	f.Add(ssl, byte(0), byte(3))
	f.Add(packet(wire.Version32+1, "user", "app", "options", "-c", "client_encoding", "x", "User", "y"), byte(0), byte(1))
	modes := []TLSMode{TLSOff, TLSAllow, TLSRequire}
	f.Fuzz(func(t *testing.T, says []byte, mode, piece byte) {
		m := modes[int(mode)%len(modes)]
		srv := &Server{}
		srv.conf.Store(&Config{TLS: TLS{Mode: m}})
		srv.mantle.Store(&mantle{config: fuzzedTLS()})
		v := &visitor{piece: 1 + int(piece)}
		v.says.Reset(says)
		nc, first, err := srv.enter(context.Background(), v, &listener{socket: deaf{}})
		if nc == nil || sock.Socket(nc) == nil {
			t.Fatal("the connection is lost")
		}
		answered := v.heard
		if i := bytes.IndexByte(answered, 'S'); i >= 0 {
			if m == TLSOff || err == nil {
				t.Fatalf("%q, %v: TLS was begun, and what is no TLS let in", answered, err)
			}
			answered = answered[:i+1] // what TLS says of it is behind
		}
		if direct := m != TLSOff && len(says) > 0 && says[0] == handshakeByte; !direct && (len(answered) > 2 || strings.Trim(string(answered), "NS") != "") {
			t.Fatalf("answered with %q", answered)
		}
		if err != nil {
			if first != nil {
				t.Fatalf("%v, and a packet", err)
			}
			judgeFault(t, err)
			return
		}
		if m == TLSRequire && first.Kind != wire.KindCancel {
			t.Fatal("let in without TLS")
		}
		if first.Kind == wire.KindStartup {
			judgeHello(t, first)
		}
	})
}

// judgeFault: who is not let in is told why in the words of a refusal, or has gone, or has failed at TLS.
func judgeFault(t *testing.T, err error) {
	t.Helper()
	var r *Refusal
	var se *upstream.Error
	if !errors.As(err, &r) && !errors.As(err, &se) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errWantsTLS) && !strings.HasPrefix(err.Error(), "TLS: ") {
		t.Fatalf("an error of no kind: %v", err)
	}
	if r != nil && !bytes.HasPrefix(r.append(nil, true), []byte{wire.ErrorResponse}) {
		t.Fatalf("%v cannot be told", err)
	}
}

// judgeHello: what a start-up packet says is refused, or whole and in order.
func judgeHello(t *testing.T, p *wire.Startup) {
	t.Helper()
	h, err := readHello(p)
	if err != nil {
		judgeFault(t, err)
		return
	}
	if h.user == "" || h.database == "" || len(h.user) > sql.MaxName || len(h.database) > sql.MaxName {
		t.Fatalf("user %q, database %q", h.user, h.database)
	}
	if !sort.SliceIsSorted(h.settings, func(i, j int) bool { return h.settings[i].Name < h.settings[j].Name }) {
		t.Fatalf("settings %q", h.settings)
	}
	for i, s := range h.settings {
		if s.Name != strings.ToLower(s.Name) || s.Name == "application_name" || s.Name == "guard.class" || strings.HasPrefix(s.Name, "_pq_.") ||
			i > 0 && s.Name == h.settings[i-1].Name {
			t.Fatalf("settings %q", h.settings)
		}
	}
	if body := h.appendNegotiation(nil); len(body) > 0 && body[0] != wire.NegotiateVersion {
		t.Fatalf("%q", body)
	}
}
