package pgtest

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// dnsHeader is how long the header of a message of DNS is.
const dnsHeader = 12

// Names has names mean these IPv4 addresses, in this order, and others nothing, until the test ends or set says what else they mean. Lookups go through
// net.DefaultResolver.
func Names(t testing.TB, names map[string][]string) (set func(map[string][]string)) {
	t.Helper()
	server, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	var known atomic.Pointer[map[string][]string]
	known.Store(&names)
	var answering sync.WaitGroup
	t.Cleanup(func() { net.DefaultResolver = before; _ = server.Close(); answering.Wait() })
	answering.Go(func() { // ends with the test
		for buf := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(dnsAnswer(buf[:n], *known.Load()), from)
		}
	})
	return func(names map[string][]string) { known.Store(&names) }
}

// dnsAnswer answers a question for IPv4 addresses, and any other with nothing.
func dnsAnswer(question []byte, names map[string][]string) []byte {
	end := dnsHeader
	var labels []string
	for question[end] != 0 {
		n := int(question[end])
		labels = append(labels, string(question[end+1:end+1+n]))
		end += 1 + n
	}
	end += 1 + 4 // the name's end, type, class
	out := append([]byte(nil), question[:end]...)
	out[2], out[3] = 0x81, 0x80
	copy(out[4:dnsHeader], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if question[end-3] != 1 { // A
		return out
	}
	addrs := names[strings.Join(labels, ".")]
	binary.BigEndian.PutUint16(out[6:], uint16(len(addrs)))
	for _, addr := range addrs {
		out = append(out, 0xc0, dnsHeader, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		out = append(out, net.ParseIP(addr).To4()...)
	}
	return out
}
