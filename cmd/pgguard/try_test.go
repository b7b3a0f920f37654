package main

import (
	"net"
	"testing"

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
