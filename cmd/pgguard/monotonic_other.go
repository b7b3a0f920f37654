//go:build !linux

package main

import "time"

// monotonic is nothing: only systemd asks, which is where Linux is.
func monotonic() time.Duration { return 0 }
