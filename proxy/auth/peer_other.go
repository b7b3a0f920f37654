//go:build !linux

package auth

import (
	"errors"
	"net"
)

// PeerName is for Linux alone.
func PeerName(net.Conn) (string, error) {
	return "", errors.New("whose process is at the other end of a socket is not told by this system")
}

// PeerUID is for Linux alone.
func PeerUID(net.Conn) (int, error) {
	return 0, errors.New("whose process is at the other end of a socket is not told by this system")
}
