package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

// logFile is a log in a file, which may be taken away from it (logrotate) and opened anew. What is written before it is opened is kept. Any goroutine
// may use it.
type logFile struct {
	path string    // empty: there is no file
	also io.Writer // nil: nowhere else
	log  *slog.Logger

	mu   sync.Mutex
	file *os.File     // guarded by mu; nil: it is not open
	kept bytes.Buffer // guarded by mu
	live bool         // guarded by mu: it has been opened
}

// open opens the file, and writes what has been kept.
func (l *logFile) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path != "" {
		f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("logfile: %w", err)
		}
		l.file = f
	}
	l.live = true
	_, err := l.writeLocked(l.kept.Bytes())
	l.kept = bytes.Buffer{}
	return err
}

// reopen opens the file of that name anew; if that cannot be, the one that is open stays, and is told. It waits for a write to that, but not longer than
// spoolPatience.
func (l *logFile) reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o644) // else a pipe would wait for its reader
	if err == nil && !l.lockWithin(spoolPatience) {
		err = errors.Join(errors.New("the one that is open takes nothing"), f.Close())
	}
	if err != nil {
		l.log.Warn("the logfile cannot be opened anew; the one that is open stays in use", "error", err)
		return err
	}
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close() // everything has been written
	}
	l.file = f
	return nil
}

// lockWithin locks mu, unless somebody who writes holds it for longer than this.
func (l *logFile) lockWithin(patience time.Duration) bool {
	for end := time.Now().Add(patience); !l.mu.TryLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Write implements io.Writer.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.live {
		return l.kept.Write(p)
	}
	return l.writeLocked(p)
}

// writeLocked writes p wherever it belongs. What cannot be written to one place is written to the other.
func (l *logFile) writeLocked(p []byte) (n int, err error) {
	n = len(p)
	if l.file != nil {
		_, err = l.file.Write(p)
	}
	if l.also != nil {
		if _, also := l.also.Write(p); err == nil {
			err = also
		}
	}
	return n, err
}

// close closes the file, unless somebody writes to it, whom a disk that hangs may hold up for ever: the end of the process comes nevertheless, and closes it.
func (l *logFile) close() {
	if !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close() // everything has been written
	}
	l.file = nil
}
