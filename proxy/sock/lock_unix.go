//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sock

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// LockWait bounds the wait for a process that holds a lock, none of which does for longer than a few calls of the system take.
const LockWait = 2 * time.Second

// ErrLocked is the error of a lock that somebody has held for too long.
var ErrLocked = errors.New("another process holds the lock")

// Lock keeps other processes from Lock on the same file, or directory, until f is closed or Unlock is called. Where there are no such locks, it does nothing.
func Lock(f *os.File) error {
	for end := time.Now().Add(LockWait); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err != syscall.EWOULDBLOCK && err != syscall.EINTR:
			return nil
		case time.Now().After(end):
			return ErrLocked
		}
	}
}

// Unlock ends Lock.
func Unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
