//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package sock

import "os"

// Lock does nothing: here are no such locks.
func Lock(*os.File) error { return nil }

// Unlock does nothing.
func Unlock(*os.File) {}
