package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	// maxSpooled bounds what waits to be written: five thousand lines, which is seconds of a storm. More would only be older.
	maxSpooled = 1 << 20
	// spoolPatience is how long an end waits for what has not been written. Who reads the log takes it in milliseconds, or not at all.
	spoolPatience = time.Second
	// settlePatience is how long a client that is refused waits for its line. A disk takes it in less than a millisecond, a busy machine comes to it in some.
	settlePatience = 50 * time.Millisecond
)

// spool writes a log by a goroutine of its own: where the log goes to a full pipe or a disk that hangs, lines are lost, and nobody waits for them.
// Each Write is one line or more. Any goroutine may use it.
type spool struct {
	w    io.Writer
	done chan struct{}

	mu    sync.Mutex
	some  sync.Cond    // of mu: there is something to write, or the end has come
	lines bytes.Buffer // guarded by mu; those that wait
	lost  int          // guarded by mu; lines there was no room for, since that was told last
	over  bool         // guarded by mu

	wrote           sync.Cond    // of mu: something has been written
	handed, written uint64       // guarded by mu: bytes, ever
	log             *slog.Logger // guarded by mu; into which is told how many were lost; nil: they are not
}

// newSpool returns one that writes to w until it is closed.
func newSpool(w io.Writer) *spool {
	s := &spool{w: w, done: make(chan struct{})}
	s.some.L, s.wrote.L = &s.mu, &s.mu
	go s.run() // ends with close, once w has taken what it was given
	return s
}

// tellBy has log, which writes into s, tell how many lines were lost.
func (s *spool) tellBy(log *slog.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = log
}

// Write implements io.Writer. It copies p, and never fails or waits.
func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines.Len()+len(p) > maxSpooled {
		s.lost += max(1, bytes.Count(p, []byte("\n")))
	} else {
		_, _ = s.lines.Write(p) // never fails
		s.handed += uint64(len(p))
	}
	s.some.Signal()
	return len(p), nil
}

// run writes what waits until there is nothing, and nothing can come.
func (s *spool) run() {
	defer close(s.done)
	var text bytes.Buffer
	for s.take(&text) {
		s.tellLost()                   // where there is room now, and before what comes next
		_, _ = s.w.Write(text.Bytes()) // there is nowhere else to say that it cannot be
		s.mu.Lock()
		s.written += uint64(text.Len())
		s.wrote.Broadcast()
		s.mu.Unlock()
	}
}

// settle waits until what has been handed over by now is written, but not longer than settlePatience.
func (s *spool) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := false
	t := time.AfterFunc(settlePatience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.wrote.Broadcast()
	})
	defer t.Stop()
	for upTo := s.handed; s.written < upTo && !late; {
		s.wrote.Wait()
	}
}

// take moves what waits to text; false: nothing will come any more.
func (s *spool) take(text *bytes.Buffer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.lines.Len() == 0 && !s.over {
		s.some.Wait()
	}
	text.Reset()
	s.lines, *text = *text, s.lines
	return text.Len() > 0
}

// tellLost logs how many lines were lost, if any were.
func (s *spool) tellLost() {
	s.mu.Lock()
	lost, log := s.lost, s.log
	s.lost = 0
	s.mu.Unlock()
	if lost > 0 && log != nil {
		log.Warn("lines of the log were lost: where it goes does not take them as fast as they come", "lines", lost)
	}
}

// close waits until everything has been written, but not longer than spoolPatience.
func (s *spool) close() {
	s.mu.Lock()
	s.over = true
	s.some.Signal()
	s.mu.Unlock()
	t := time.NewTimer(spoolPatience)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
	}
}

// outliveReader has a write to a pipe that nobody reads any more fail, and not end the process: the reader of the log is not who the guard serves.
// Programs that the guard starts do not inherit it.
func outliveReader() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}
