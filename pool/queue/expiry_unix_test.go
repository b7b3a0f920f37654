//go:build unix

package queue

import (
	"syscall"
	"testing"
	"time"
)

// processor is how long the process has had a processor: others that the machine has to do are not in it.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestExpiryOfManyIsQuick: 20,000 who are late together, a few milliseconds, cost each of them no more than 1,000 do.
func TestExpiryOfManyIsQuick(t *testing.T) {
	q := New[int]([]Class{
		{Name: "web", Weight: 1, MaxWait: time.Second, MaxLength: 1 << 20, MaxShare: 1, Interactive: true},
		{Name: "jobs", Weight: 1, MaxWait: time.Second, MaxLength: 1 << 20, MaxShare: 1},
	})
	const few, many = 1_000, 20_000
	waiters := make([]Waiter[int], many)
	late := func(waiters []Waiter[int]) time.Duration {
		now, began := time.Unix(1, 0), processor(t)
		for i := range waiters {
			waiters[i] = Waiter[int]{Class: i % 2, Client: uint64(i), Lane: uint8(i % 3 * 2)}
			q.Push(&waiters[i], now)
		}
		n := 0
		for q.Expire(now.Add(time.Second)) != nil {
			n++
		}
		if n != len(waiters) {
			t.Fatalf("%d of %d are late", n, len(waiters))
		}
		return processor(t) - began
	}
	leastFew, leastMany := time.Hour, time.Hour
	for range 5 { // in turns, so that a machine whose caches others use is so for both
		for range many / few {
			leastFew = min(leastFew, late(waiters[:few]))
		}
		leastMany = min(leastMany, late(waiters))
	}
	// Work for each waiter that grew with their number would make it 400 times, and a cache that is too small a few.
	if leastMany > 5*many/few*leastFew {
		t.Errorf("%s for %d to come and be late, %s for %d", leastMany, many, leastFew, few)
	}
	t.Logf("%s for %d to come and be late, %s for %d", leastMany, many, leastFew, few)
}
