package main

import (
	"syscall"
	"time"
	"unsafe"
)

// clockMonotonic is Linux's number for it.
const clockMonotonic = 1

// monotonic is the time since the machine has started, by the clock that systemd goes by; 0 if there is none.
func monotonic() time.Duration {
	var now syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0); err != 0 {
		return 0
	}
	return time.Duration(now.Nano())
}
