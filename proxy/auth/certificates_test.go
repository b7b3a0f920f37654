package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCertificatesTellOfChangesOnly: the log says that new ones are in use where there are new ones, and not at each reload.
func TestCertificatesTellOfChangesOnly(t *testing.T) {
	f, renew := issued(t)
	told := 0
	c, err := NewCertificates(f, func(err error) {
		if err != nil {
			t.Error(err)
		}
		told++
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 1} {
		if i == 1 {
			renew()
		}
		if err := c.Reload(); err != nil || told != want {
			t.Errorf("reload %d: told %d times, want %d; %v", i, told, want, err)
		}
	}
}

// TestNobodyWaitsForFilesThatAnotherReads: one handshake reads files that have changed; those beside it go by what is in use, however long that takes.
func TestNobodyWaitsForFilesThatAnotherReads(t *testing.T) {
	f, renew := issued(t)
	reads, goOn := make(chan struct{}), make(chan struct{})
	c, err := NewCertificates(f, func(error) { close(reads); <-goOn }, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.looked = time.Time{}
	renew()
	done := make(chan struct{})
	go func() { defer close(done); c.look(time.Now()) }()
	<-reads
	beside := make(chan struct{})
	go func() { defer close(beside); handshake(t, c.Config(), &tls.Config{InsecureSkipVerify: true}) }()
	select {
	case <-beside:
	case <-time.After(10 * time.Second):
		t.Error("a handshake waits for who reads the files")
	}
	close(goOn)
	<-done
	<-beside
}

// TestLapsedCertificatesAreSaid: a certificate that no client takes is used, as PostgreSQL does, and said to be one; it is told for which names and addresses it is.
func TestLapsedCertificatesAreSaid(t *testing.T) {
	f, _ := issued(t)
	c, err := NewCertificates(f, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]string{-2 * time.Hour: "look at the clock", 0: "", 2 * time.Hour: "renew it"} {
		err := c.Lapsed(time.Now().Add(at))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "tls.cert "+f.Cert)) {
			t.Errorf("in %s: %v, want %q", at, err, want)
		}
	}
	if got := strings.Join(c.Names(), " "); got != "localhost 10.0.0.5" {
		t.Errorf("it is for %s", got)
	}
}

// TestResumedSessionsHaveTheCertificateInUse: a client that resumes a session takes the certificate of its beginning for the server's, and binds its proof to that.
func TestResumedSessionsHaveTheCertificateInUse(t *testing.T) {
	f, renew := issued(t)
	c, err := NewCertificates(f, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := c.Config()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for i, want := range []bool{false, true, true, false, true} {
			if i == 3 {
				renew()
				if err := c.Reload(); err != nil {
					t.Fatal(err)
				}
			}
			resumed, seen, shown := handshake(t, server, client)
			if resumed != want || !seen.Equal(shown) {
				t.Errorf("TLS %x, handshake %d: resumed %t, with the certificate in use %t", version, i, resumed, seen.Equal(shown))
			}
		}
	}
}

// handshake returns whether a session was resumed, and the server's certificate for the client and for the server.
func handshake(t *testing.T, server, client *tls.Config) (resumed bool, seen, own *x509.Certificate) {
	t.Helper()
	near, far := net.Pipe()
	shown := &Shown{}
	s, c := tls.Server(near, server), tls.Client(far, client)
	done := make(chan error, 1)
	go func() {
		err := s.HandshakeContext(shown.In(context.Background()))
		if err == nil {
			_, err = s.Write([]byte("x")) // behind the tickets
		}
		done <- err
	}()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	_, _ = near.Close(), far.Close()
	return c.ConnectionState().DidResume, c.ConnectionState().PeerCertificates[0], shown.leaf
}

// issued are a server's certificate and its key; renew puts others in their place.
func issued(t *testing.T) (f Files, renew func()) {
	t.Helper()
	by, err := NewAuthority("ours", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f = Files{Cert: filepath.Join(t.TempDir(), "server.crt"), Key: filepath.Join(t.TempDir(), "server.key")}
	renew = func() {
		t.Helper()
		p, err := by.Issue("guard", []string{"localhost", "10.0.0.5"}, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string][]byte{f.Cert: p.Cert, f.Key: p.Key} {
			if err := os.WriteFile(path+".new", text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
	}
	renew()
	return f, renew
}
