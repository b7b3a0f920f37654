package main

import (
	"os"
	"runtime"
)

// leaveProcessors lets the guard run on half of the machine's processors, at least one, unless GOMAXPROCS says
// otherwise: a sidecar shares its machine with the application, and on few processors Go's scheduler needs less of them.
// On two cores and 32 clients one processor costs 35 µs a query, two cost 60, with the same throughput.
func leaveProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	}
}
