//go:build !unix

package main

import "os"

// notifyUpgrade is for systems with SIGUSR2.
func notifyUpgrade(chan<- os.Signal) {}
