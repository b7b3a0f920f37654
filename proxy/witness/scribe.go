package witness

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// hangs is after how long with one piece of work a disk is said to hang. One that is busy takes a second or two.
	hangs = 10 * time.Second
	// lastPatience bounds the wait for the last lines: an end is not held up by a disk.
	lastPatience = time.Second
)

// book is what a scribe writes; *journal is one.
type book interface {
	begin() error
	put(lines [][]byte, last bool) error
	// dropped is how many lines it has not taken and never will, since it was asked last; last: nor those that wait.
	dropped(last bool) int
	close()
}

// scribe has a goroutine of its own write a book, so that a disk that hangs holds up nobody else: lines are lost then, and counted.
type scribe struct {
	file book // of its goroutine
	tell func(error)
	done chan struct{}

	mu      sync.Mutex
	some    sync.Cond // of mu: there is something to do
	lines   [][]byte  // guarded by mu: that the goroutine has not taken yet, the newest maxWaiting
	looked  bool      // guarded by mu: it is to try again, lines or not
	over    bool      // guarded by mu
	lost    uint64    // guarded by mu: lines, ever
	since   time.Time // guarded by mu: when the goroutine began what it does; zero: it does nothing
	hanging bool      // guarded by mu: that it hangs is told
}

// newScribe returns one for b, who tells what is wrong with it.
func newScribe(b book, tell func(error)) *scribe {
	s := &scribe{file: b, tell: tell, done: make(chan struct{})}
	s.some.L = &s.mu
	return s
}

// start has the goroutine write until close, once the file has taken, or refused, what is there by then.
func (s *scribe) start() {
	s.mu.Lock()
	s.since = time.Now()
	s.mu.Unlock()
	go s.run()
}

// add has lines be written, after those before, and what could not be written be tried again. It does not wait.
func (s *scribe) add(lines [][]byte, now time.Time) {
	s.mu.Lock()
	s.lines = append(s.lines, lines...)
	over := max(0, len(s.lines)-maxWaiting)
	s.lines, s.lost = s.lines[over:], s.lost+uint64(over)
	s.looked = true
	s.some.Signal()
	hanging := !s.hanging && !s.since.IsZero() && now.Sub(s.since) > hangs
	s.hanging = s.hanging || hanging
	s.mu.Unlock()
	if hanging {
		s.tell(fmt.Errorf("it hangs: what is to be written has taken longer than %s; the last %d lines wait", hangs, maxWaiting))
	}
}

// run is the goroutine. Its last try is made whenever the one before failed.
func (s *scribe) run() {
	defer close(s.done)
	defer s.file.close()
	s.tell(s.file.begin())
	told := uint64(0)
	for {
		lines, over := s.take()
		s.tell(s.file.put(lines, over))
		if lost := s.lose(s.file.dropped(over)); lost > told {
			s.tell(fmt.Errorf("%d lines are lost", lost-told))
			told = lost
		}
		if over {
			return
		}
	}
}

// take waits until there is something to do. over: it is the last.
func (s *scribe) take() (lines [][]byte, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.hanging = time.Time{}, false
	for !s.looked && !s.over {
		s.some.Wait()
	}
	lines, s.lines, s.looked, s.since = s.lines, nil, false, time.Now()
	return lines, s.over
}

// lose counts n more lost lines, and returns how many there are.
func (s *scribe) lose(n int) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += uint64(n)
	return s.lost
}

// close has the file take what it can, and waits for that, but not longer than lastPatience.
func (s *scribe) close() {
	s.mu.Lock()
	s.over = true
	s.some.Signal()
	s.mu.Unlock()
	t := time.NewTimer(lastPatience)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
		s.tell(errors.New("it hangs at the end: the last lines are lost"))
	}
}
