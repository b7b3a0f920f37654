package pool

import "time"

// line is some of one kind in the order in which they came, linked through themselves: leaving it from the middle costs nothing.
type line[T any] struct {
	first, last *spot[T]
	n           int
}

// spot is where somebody stands, in one line at most.
type spot[T any] struct {
	of             T
	before, behind *spot[T]
}

func (l *line[T]) push(s *spot[T], of T) {
	s.of, s.before, s.behind = of, l.last, nil
	if l.last != nil {
		l.last.behind = s
	} else {
		l.first = s
	}
	l.last = s
	l.n++
}

func (l *line[T]) remove(s *spot[T]) {
	if s.before != nil {
		s.before.behind = s.behind
	} else {
		l.first = s.behind
	}
	if s.behind != nil {
		s.behind.before = s.before
	} else {
		l.last = s.before
	}
	s.before, s.behind = nil, nil
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
		if at := l.first.of.place.Since(); n == 0 || at.Before(since) {
			since = at
		}
		n += l.n
	}
	return n, since
}
