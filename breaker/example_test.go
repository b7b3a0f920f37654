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

// The owner reports what it sees and calls Step every 250 ms; what Step returns is logged and carried out.
func ExampleBreaker() {
	b := breaker.New(func() float64 { return 0.5 })
	now := time.Unix(0, 0)
	for range 20 {
		b.Ended(breaker.Classify("58030"), time.Millisecond, now) // the disk is gone
	}
	for range 9 {
		now = now.Add(250 * time.Millisecond)
		probe, change := b.Step(now, breaker.Load{Running: 3, Full: 8})
		if change.Changed() {
			fmt.Println(change.From, "to", change.To, "for", change.Cause)
		}
		if probe.ID != 0 {
			b.Canary(probe.ID, true) // the side channel was answered in time
		}
	}
	limit, bounded := b.Limit()
	fmt.Println("limit", limit, bounded)
	// Output:
	// closed to open for errors
	// open to half-open for waited
	// half-open to ramp for answered
	// ramp to ramp for ramp
	// limit 2 true
}
