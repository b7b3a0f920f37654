package queue

import (
	"testing"
	"time"
)

func TestWaiterPushedTwicePanics(t *testing.T) {
	q := New[int]([]Class{{Name: "a", Weight: 1, MaxWait: time.Second, MaxLength: 2}})
	w := &Waiter[int]{}
	q.Push(w, time.Time{})
	defer func() {
		if recover() == nil {
			t.Error("a waiter in the queue was taken in again")
		}
	}()
	q.Push(w, time.Time{})
}

func TestTooManyClassesPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("more classes were taken than Pop can look through")
		}
	}()
	New[int](make([]Class, MaxClasses+1))
}

func TestEveryClassIsTriedUpToTheLast(t *testing.T) {
	classes := make([]Class, MaxClasses)
	for i := range classes {
		classes[i] = Class{Weight: 1, MaxWait: time.Second, MaxLength: 1}
	}
	q := New[int](classes)
	for i := range classes {
		q.Push(&Waiter[int]{Value: i, Class: i}, time.Time{})
	}
	last := MaxClasses - 1
	w := q.Pop(func(int) bool { return true }, func(w *Waiter[int]) bool { return w.Value == last })
	if w == nil || w.Value != last {
		t.Fatalf("got %v, want the waiter of the last class", w)
	}
	if w := q.Pop(func(int) bool { return true }, func(*Waiter[int]) bool { return false }); w != nil {
		t.Fatalf("got %v, want nobody", w)
	}
}

// TestShortDelayIsNoOverload has a line that never empties, but whose first has waited for two milliseconds each time
// after one was served.
func TestShortDelayIsNoOverload(t *testing.T) {
	q := New[int]([]Class{{Name: "web", Weight: 1, MaxWait: time.Minute, MaxLength: 10, MaxShare: 1, Interactive: true}})
	now := time.Unix(0, 0)
	q.Push(&Waiter[int]{}, now)
	for range 100 {
		now = now.Add(28 * time.Millisecond)
		q.Push(&Waiter[int]{}, now)
		now = now.Add(2 * time.Millisecond)
		q.Advance(now)
		q.Pop(func(int) bool { return true }, func(*Waiter[int]) bool { return true })
		if q.Pace(0).Overloaded {
			t.Fatalf("overloaded at %s", now)
		}
	}
}

// TestPlaceIsForgottenWithItsClient has a client come to the place of one that was just served: it has had no turn.
func TestPlaceIsForgottenWithItsClient(t *testing.T) {
	c := newClients[int]()
	key := func(at int16, not uint64) uint64 {
		for k := uint64(1); ; k++ {
			if k != not && c.place(k) == at {
				return k
			}
		}
	}
	c = newClients[int]()
	first := key(5, 0)
	second := key(5, first)
	other := key(77, 0)
	c = newClients[int]()
	x1, x2, a, b := &Waiter[int]{Client: other}, &Waiter[int]{Client: other}, &Waiter[int]{Client: first}, &Waiter[int]{Client: second}
	can := func(*Waiter[int]) bool { return true }
	c.push(x1)
	c.push(x2)
	c.push(a)
	c.served(c.find(can, false))
	c.served(c.find(can, false))
	if c.push(b); b.place != a.place {
		t.Fatalf("the clients are in the places %d and %d", a.place, b.place)
	}
	if w := c.find(can, false); w != b {
		t.Error("a client is taken for the one that was in its place before")
	}
}
