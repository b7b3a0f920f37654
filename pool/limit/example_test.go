package limit_test

import (
	"fmt"
	"time"

	"pgguard/pool/limit"
)

// A law is told of every finished statement and answers how many may run at once; a frozen one never moves.
func ExampleFrozen() {
	var law limit.Limit = limit.Frozen(limit.DefaultLimit)
	law.Observe(limit.Sample{Elapsed: 3 * time.Second, Running: 10})
	d := law.Step(time.Unix(1, 0), limit.Signals{Run: 10, Bound: time.Second})
	fmt.Println(law.Current(), d.Limit, d.Reason == "")
	// Output: 10 10 true
}
