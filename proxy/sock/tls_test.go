package sock

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"testing"
	"time"
)

// patience bounds what a test waits for.
const patience = 10 * time.Second

// pair is a certificate for this test.
func pair(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"guard"}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// sockets are the two ends of one connection.
func sockets(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = s.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

// crumbs sends in pieces of at most n bytes, each in a segment of its own.
type crumbs struct {
	net.Conn
	n int
}

func (c crumbs) Write(p []byte) (int, error) {
	for at := 0; c.n > 0 && at < len(p); at += c.n {
		if _, err := c.Conn.Write(p[at:min(len(p), at+c.n)]); err != nil {
			return at, err
		}
	}
	if c.n == 0 {
		return c.Conn.Write(p)
	}
	return len(p), nil
}

// secured is a Conn under TLS and its peer, after the handshake. The peer's writes are cut to pieces.
type secured struct {
	Conn
	in   *Buffer
	peer *tls.Conn
}

func secure(t *testing.T, version uint16, server bool, cut int, stall time.Duration) *secured {
	t.Helper()
	ours, theirs := sockets(t)
	cert := pair(t)
	serving := &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version, MinVersion: version}
	asking := &tls.Config{InsecureSkipVerify: true, MaxVersion: version, MinVersion: version}
	s := &secured{}
	var mine *tls.Conn
	if server {
		mine, s.peer = Server(ours, serving), tls.Client(crumbs{theirs, cut}, asking)
	} else {
		mine, s.peer = Client(ours, asking), tls.Server(crumbs{theirs, cut}, serving)
	}
	done := make(chan error, 1)
	go func() { done <- s.peer.Handshake() }()
	if err := mine.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := s.Init(mine, stall, &s.in, s.echo); err != nil {
		t.Fatal(err)
	}
	return s
}

// echo sends back what was read.
func (s *secured) echo() error {
	p := append([]byte(nil), s.in.Bytes()...)
	Return(s.in)
	s.in = nil
	return s.Send(p)
}

func eachKind(t *testing.T, f func(t *testing.T, version uint16, server bool, cut int)) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, server := range []bool{false, true} {
			for _, cut := range []int{0, 1, 700} {
				t.Run(fmt.Sprintf("%s server=%t cut=%d", tls.VersionName(version), server, cut), func(t *testing.T) { f(t, version, server, cut) })
			}
		}
	}
}

// What is sent in pieces of any size arrives whole and in order, also where a record comes byte by byte or the reader is interrupted in
// the middle of one, and the end of the stream is seen. A reader that waits holds no buffer.
func TestSecureEchoes(t *testing.T) {
	eachKind(t, func(t *testing.T, version uint16, server bool, cut int) {
		s := secure(t, version, server, cut, patience)
		ended := make(chan error, 1)
		go func() {
			for {
				err := s.Serve()
				if !Interrupted(err) {
					ended <- err
					return
				}
				s.Resume()
			}
		}()
		for _, size := range []int{1, 2, 100, BufferSize - 1, BufferSize, BufferSize + 1, 40_000} {
			if cut == 1 && size > 1000 {
				continue
			}
			want := make([]byte, size)
			_, _ = rand.Read(want)
			wrote := make(chan error, 1)
			go func() {
				var err error
				for rest := want; len(rest) > 0 && err == nil; {
					n := min(len(rest), 1+mathrand.IntN(len(want)))
					_, err = s.peer.Write(rest[:n])
					rest = rest[n:]
					s.Interrupt()
				}
				wrote <- err
			}()
			got := make([]byte, size)
			_ = s.peer.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(s.peer, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if err := <-wrote; err != nil {
				t.Fatal(err)
			}
		}
		if err := s.peer.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err != io.EOF {
				t.Errorf("ended with %v, want EOF", err)
			}
		case <-time.After(patience):
			t.Error("the end of the stream was not seen")
		}
		if s.in != nil {
			t.Error("a buffer is held after the end")
		}
	})
}

// A peer that does not read stalls its writer, who is told how far he came and can go on, as without TLS.
func TestSecureStallsAndGoesOn(t *testing.T) {
	eachKind(t, func(t *testing.T, version uint16, server bool, cut int) {
		s := secure(t, version, server, cut, 20*time.Millisecond)
		want := make([]byte, 16<<20)
		_, _ = rand.Read(want)
		stalls, sent := 0, make(chan error, 1)
		resume := make(chan struct{})
		go func() {
			rest := want
			for {
				err := s.Send(rest)
				if !errors.Is(err, ErrStalled) {
					sent <- err
					return
				}
				rest = rest[s.Sent():]
				if stalls++; stalls == 3 {
					close(resume)
				}
			}
		}()
		<-resume
		got := make([]byte, len(want))
		_ = s.peer.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(s.peer, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read: %v, equal %t", err, bytes.Equal(got, want))
		}
		if err := <-sent; err != nil || s.Stuck() {
			t.Errorf("send: %v, stuck %t", err, s.Stuck())
		}
	})
}

// A small message to and fro costs no more than what crypto/tls allocates for the reading of a record.
func TestSecureAllocatesLittle(t *testing.T) {
	s := secure(t, tls.VersionTLS13, true, 0, patience)
	go func() { _ = s.Serve() }()
	p := make([]byte, 100)
	got := testing.AllocsPerRun(500, func() {
		if _, err := s.peer.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s.peer, p); err != nil {
			t.Fatal(err)
		}
	})
	if got > 8 { // the echo's copy, and two for each record that either side reads, of which the race detector makes more
		t.Errorf("%v allocations", got)
	}
}
