package queue

// list is a line of waiters, linked through themselves so that leaving it from the middle costs nothing.
type list[T any] struct {
	first, last *Waiter[T]
	n           int
}

func (l *list[T]) push(w *Waiter[T]) {
	w.prev, w.next = l.last, nil
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	l.n++
}

func (l *list[T]) remove(w *Waiter[T]) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	l.n--
}
