package main

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/auth"
	"pgguard/proxy/config"
	"pgguard/proxy/upstream"
)

// TestCheckSaysWhatALoginLacks: whoever has forgotten TLS is told so where others could listen, or answer in the server's place.
func TestCheckSaysWhatALoginLacks(t *testing.T) {
	const full = "sslmode=verify-full "
	near, far, socket := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5)}, &net.UnixAddr{Name: "/s", Net: "unix"}
	for _, x := range []struct {
		at   net.Addr
		mode string
		root string
		tls  string
		want string
	}{
		{near, "", "", "", " without TLS"},
		{socket, "", "", "", " without TLS"},
		{far, "", "", "", " without TLS: others on the way can read and change what is sent; " + full + "prevents it"},
		{far, "prefer", "", "TLS 1.3", " over TLS 1.3: nobody makes sure that it is this server; " + full + "does"},
		{far, "require", "", "TLS 1.3", " over TLS 1.3: nobody makes sure that it is this server; " + full + "does"},
		{far, "verify-ca", "", "TLS 1.3", " over TLS 1.3: nobody makes sure that it is this server; " + full + "does"},
		{far, "verify-full", "ca.crt", "TLS 1.3", " over TLS 1.3"},
		{far, "", "system", "TLS 1.3", " over TLS 1.3"},
		{near, "", "", "TLS 1.3", " over TLS 1.3"},
	} {
		if got := lacks(x.at, &upstream.Security{Mode: x.mode, RootCert: x.root}, x.tls); got != x.want {
			t.Errorf("%v %s %s %s: %q, want %q", x.at, x.mode, x.root, x.tls, got, x.want)
		}
	}
}

// TestCheckSaysWhichCertificatesNoClientTakes: one that has expired can be read, and fails the check all the same.
func TestCheckSaysWhichCertificatesNoClientTakes(t *testing.T) {
	by, err := auth.NewAuthority("ours", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for what, from := range map[string]time.Time{"": time.Now(), "tls.cert server.crt has expired: it was valid until": time.Now().Add(-48 * time.Hour)} {
		pair, err := by.Issue("guard", []string{"guard.internal", "10.0.0.5"}, from, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		t.Chdir(t.TempDir())
		for name, text := range map[string][]byte{"server.crt": pair.Cert, "server.key": pair.Key} {
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f, err := config.Parse("x", []byte("upstream: postgres://app@/app?host=/none\ntls: {mode: require, cert: server.crt, key: server.key}"))
		if err != nil {
			t.Fatal(err)
		}
		said := &strings.Builder{}
		if err := tryOut(&env{ctx: t.Context(), streams: streams{err: said}}, f); err == nil {
			t.Error("there is no database, and nothing is wrong")
		}
		if got := said.String(); !strings.Contains(got, "is for [guard.internal 10.0.0.5], until") || strings.Contains(got, "tls.cert") != (what != "") || !strings.Contains(got, what) {
			t.Errorf("it says %q, want %q", got, what)
		}
	}
}
