package queue_test

import (
	"fmt"
	"time"

	"pgguard/pool/queue"
)

// Two classes wait; the queue is told who can be served and answers who is next. It reads no clock: now is an argument.
func Example() {
	q := queue.New[string]([]queue.Class{
		{Name: "high", Weight: 3, MaxWait: 5 * time.Second, MaxLength: 100, MaxShare: 1},
		{Name: "low", Weight: 1, MaxWait: 30 * time.Second, MaxLength: 1, MaxShare: 0.75},
	})
	now := time.Unix(0, 0)
	fmt.Println("page:", q.Push(&queue.Waiter[string]{Value: "page", Class: 0}, now))
	fmt.Println("mail:", q.Push(&queue.Waiter[string]{Value: "mail", Class: 1}, now))
	fmt.Println("report:", q.Push(&queue.Waiter[string]{Value: "report", Class: 1}, now))

	anyClass := func(int) bool { return true }
	freeServer := func(*queue.Waiter[string]) bool { return true }
	fmt.Println("next:", q.Pop(anyClass, freeServer).Value)
	fmt.Println("late:", q.Expire(now.Add(time.Minute)).Value)
	// Output:
	// page: ok
	// mail: ok
	// report: queue_full
	// next: page
	// late: mail
}
