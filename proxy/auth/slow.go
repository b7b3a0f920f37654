package auth

import (
	"sync"
	"time"
)

// Slow says how long those must wait who were wrong before. Who guesses is slowed, more with each time, and nobody is locked out: the wait has
// a bound, and what was wrong is forgotten. The zero value has seen nothing. Any goroutine may use it.
type Slow struct {
	mu   sync.Mutex
	seen map[string]wrong // guarded by mu
}

// wrong is how often somebody was.
type wrong struct {
	times int
	last  time.Time
}

const (
	freeTries = 3                      // a person who mistypes does not notice
	firstWait = 100 * time.Millisecond // then, doubled each time
	longest   = 3 * time.Second        // less than drivers wait for a connection, so that who is right comes in
	forgiven  = time.Minute            // without another, it is forgotten
	maxSeen   = 8192                   // about a megabyte
)

// Wait is how long who comes under this name must wait before he is answered.
func (s *Slow) Wait(name string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.seen[name]
	if !ok || now.Sub(w.last) >= forgiven || w.times <= freeTries {
		return 0
	}
	return min(longest, firstWait<<min(w.times-freeTries-1, 16))
}

// Wrong notes that he was wrong.
func (s *Slow) Wrong(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.seen[name]
	if !ok && len(s.seen) >= maxSeen {
		s.makeRoomLocked(now)
	}
	if s.seen == nil {
		s.seen = map[string]wrong{}
	}
	if now.Sub(w.last) >= forgiven {
		w.times = 0
	}
	s.seen[name] = wrong{w.times + 1, now}
}

// makeRoomLocked forgets who is forgiven, and if that is nobody, some.
func (s *Slow) makeRoomLocked(now time.Time) {
	for name, w := range s.seen {
		if now.Sub(w.last) >= forgiven {
			delete(s.seen, name)
		}
	}
	for name := range s.seen {
		if len(s.seen) < maxSeen*3/4 {
			return
		}
		delete(s.seen, name) // any
	}
}

// Right forgets that he was ever wrong.
func (s *Slow) Right(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, name)
}
