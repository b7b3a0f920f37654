package proxy_test

import (
	"fmt"

	"pgguard/proxy"
)

// Pressure is answered with an ERROR and costs no client its connection; only what cannot go on closes it.
func ExampleRefusal() {
	for _, reason := range []proxy.Reason{proxy.ReasonWait, proxy.ReasonQueueFull, proxy.ReasonBreaker, proxy.ReasonClients} {
		r := &proxy.Refusal{Reason: reason}
		fmt.Printf("%s: closes the client: %v\n", reason, r.Fatal())
	}
	// Output:
	// wait: closes the client: false
	// queue_full: closes the client: false
	// breaker: closes the client: false
	// max_clients: closes the client: true
}
