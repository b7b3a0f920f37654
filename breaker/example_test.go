package breaker_test

import (
	"fmt"
	"time"

	"pgguard/breaker"
)

// Logins fail one after the other; the change is a returned value, so whoever reports logs it, outside of any lock.
func ExampleDials() {
	var d breaker.Dials
	start := time.Unix(0, 0)
	for _, after := range []time.Duration{0, 3 * time.Second, 7 * time.Second} {
		fmt.Println(after, d.Report(false, start.Add(after)), d.Open())
	}
	fmt.Println("then", d.Report(true, start.Add(8*time.Second)), d.Open())
	// Output:
	// 0s none false
	// 3s none false
	// 7s opened true
	// then closed false
}
