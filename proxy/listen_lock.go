package proxy

import (
	"fmt"
	"os"

	"pgguard/proxy/sock"
)

// lockDir keeps other guards from looking for, making or removing sockets in a directory, until release is called. Without it,
// two that start at once could each find the same dead socket, and the slower remove the one that the faster has made. Where
// there are no such locks, it does nothing.
func lockDir(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {}, nil
	}
	if err := sock.Lock(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("the directory of the socket: %w", err)
	}
	return func() { _ = f.Close() }, nil
}
