//go:build !linux

package proxy

import (
	"errors"
	"net"
)

// peerName is for Linux alone.
func peerName(net.Conn) (string, error) {
	return "", errors.New("the method peer is not available on this system")
}
