//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyUpgrade has asked told of each SIGUSR2.
func notifyUpgrade(asked chan<- os.Signal) { signal.Notify(asked, syscall.SIGUSR2) }
