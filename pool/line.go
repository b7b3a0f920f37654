package pool

import "time"

// line is who of one class waits for a server of a key, in the order in which they asked.
type line struct {
	first, last *Waiter
	n           int
}

func (l *line) push(w *Waiter) {
	w.before, w.behind = l.last, nil
	if l.last != nil {
		l.last.behind = w
	} else {
		l.first = w
	}
	l.last = w
	l.n++
}

func (l *line) remove(w *Waiter) {
	if w.before != nil {
		w.before.behind = w.behind
	} else {
		l.first = w.behind
	}
	if w.behind != nil {
		w.behind.before = w.before
	} else {
		l.last = w.before
	}
	w.before, w.behind = nil, nil
	l.n--
}

// waitingLocked says how many wait for a server of k who could be given one as far as their classes are concerned, and since when the
// first of them does.
func (p *Pool) waitingLocked(k *Key) (n int, since time.Time) {
	for class := range k.lines {
		l := &k.lines[class]
		if l.n == 0 || !p.roomLocked(class) && p.queue.Waiting(class) > 0 {
			continue
		}
		if at := l.first.place.Since(); n == 0 || at.Before(since) {
			since = at
		}
		n += l.n
	}
	return n, since
}
