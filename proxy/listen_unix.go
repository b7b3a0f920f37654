//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package proxy

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lockWait bounds the wait for another guard that looks at the same directory, which takes it no time at all.
const lockWait = 2 * time.Second

// lockDir keeps other guards from looking for, making or removing sockets in a directory, until release is called. Without it,
// two that start at once could each find the same dead socket, and the slower remove the one that the faster has made. Where
// there are no such locks, it does nothing.
func lockDir(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {}, nil
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err != syscall.EWOULDBLOCK && err != syscall.EINTR:
			return func() { _ = f.Close() }, nil
		case time.Now().After(end):
			_ = f.Close()
			return nil, errors.New("another process holds a lock on the directory of the socket")
		}
	}
}
