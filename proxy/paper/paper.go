// Package paper reads files that people write: configurations, passwords, certificates. What stands at the path may be anything, and somebody waits
// for the answer: a client who logs in, an operator who has the configuration read again.
package paper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

const (
	// Small bounds passwords, tokens and certificates: a bundle of all public authorities has a quarter of it.
	Small = 1 << 20
	// patience is how long who writes to a pipe may take, such as a program that asks a service of keys.
	patience = 30 * time.Second
	// absence is how long a pipe may have nobody who writes to it: he has been started by then, or has been forgotten.
	absence = 2 * time.Second
	// glance is how often it is seen whether he has come: a pipe does not tell.
	glance = 10 * time.Millisecond
)

// Read returns all of the file at a path, of at most most bytes, which are the caller's. A pipe is read, too, but neither who comes to
// write to it nor his end is waited for without bound. Any goroutine may call it.
func Read(path string, most int) ([]byte, error) { return read(path, most, absence, patience) }

func read(path string, most int, absence, patience time.Duration) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // else to open a pipe waits for who writes to it
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		_ = f.SetReadDeadline(time.Now().Add(patience)) // there is none for what never waits, such as /dev/null
	}
	text, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	for began := time.Now(); err == nil && len(text) == 0 && info.Mode().Type() == os.ModeNamedPipe && time.Since(began) < absence; {
		time.Sleep(glance)
		text, err = io.ReadAll(io.LimitReader(f, int64(most)+1))
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("read %s: who writes to it has not ended within %s", path, patience)
	case err != nil:
		return nil, err
	case len(text) > most:
		return nil, TooLarge{path, most}
	case len(text) == 0 && info.Mode().Type() == os.ModeNamedPipe:
		return nil, fmt.Errorf("read %s: it is a pipe to which nobody writes", path)
	}
	return text, nil
}

// TooLarge is what is wrong with a file of more bytes than it may have.
type TooLarge struct {
	Path string
	Most int // bytes
}

func (e TooLarge) Error() string { return fmt.Sprintf("%s is larger than %d bytes", e.Path, e.Most) }
