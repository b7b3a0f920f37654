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
