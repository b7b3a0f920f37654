package pgtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// portLow to portHigh, which is not one of them, lies below the range that systems lend to outgoing connections, so that none of those takes a port
// while its owner is down.
const portLow, portHigh = 15000, 32000

// portsGiven is how many ports this process has asked for, from a place of its own.
var portsGiven atomic.Uint32

func init() { portsGiven.Store(rand.Uint32N(portHigh - portLow)) }

// freePort returns a port of 127.0.0.1 that nobody listens on. It gives none twice, until it has given all.
func freePort() (int, error) {
	var last error
	for range portTries {
		port := portLow + int(portsGiven.Add(1)%(portHigh-portLow))
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

// FreeAddress returns an address of this machine that nobody listens on, for a program that opens it itself. It gives none twice. Any goroutine
// may call it.
func FreeAddress() (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}
