package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"pgguard/proxy/paper"
)

// Source is where a password comes from that is not in the configuration: a file, which is read each time, or a program, whose output is used for
// a while. Any goroutine may call its methods. No error of it holds the password.
type Source struct {
	file    string
	command []string
	cache   time.Duration

	wait time.Duration // of the program, at most

	mu      sync.Mutex
	value   string    // guarded by mu: what the program said last; empty: nothing that is still good
	until   time.Time // guarded by mu: for how long that is used
	running *run      // guarded by mu: of the program; nil: none
}

// run is one run of the program, for all who wait for it.
type run struct {
	done     chan struct{} // closed once the rest is there
	password string
	err      error
}

// NewSource returns a source that reads the first line of a file or, if command is not empty, of what that program writes. The program is run
// without a shell, one at a time, and its output is used for cache.
func NewSource(file string, command []string, cache time.Duration) *Source {
	return &Source{file: file, command: command, cache: cache, wait: commandWait}
}

// commandWait bounds a program: those of clouds take seconds where the processor is scarce, and ask services that may not answer.
const commandWait = 30 * time.Second

// maxPassword bounds what is read: tokens of clouds have one or two thousand bytes.
const maxPassword = 64 << 10

// SourceError is why a Source has no password.
type SourceError struct {
	Command bool // it is a program, not a file
	err     error
}

func (e *SourceError) Error() string { return e.err.Error() }
func (e *SourceError) Unwrap() error { return e.err }

// Password returns the password, or a *SourceError. fresh: it was got just now, so that to get it again would be of no use. When ctx ends the program goes on, for
// who asks next.
func (s *Source) Password(ctx context.Context) (password string, fresh bool, err error) {
	if password, fresh, err = s.get(ctx); err != nil {
		return "", true, &SourceError{len(s.command) > 0, err}
	}
	return password, fresh, nil
}

// get is Password.
func (s *Source) get(ctx context.Context) (password string, fresh bool, err error) {
	if len(s.command) == 0 {
		text, err := paper.Read(s.file, maxPassword)
		if err != nil {
			return "", true, fmt.Errorf("password file: %w", err)
		}
		password, err = firstLine(text)
		if err != nil {
			err = fmt.Errorf("password file %s: %w", s.file, err)
		}
		return password, true, err
	}
	value, r := s.keptOrRun()
	if value != "" {
		return value, false, nil
	}
	select {
	case <-r.done:
		return r.password, true, r.err
	case <-ctx.Done():
		return "", true, fmt.Errorf("password command %s has not ended yet: %w", s.command[0], ctx.Err())
	}
}

// keptOrRun is what the program said, as long as that is good, else its run: the one that is under way, or a new one.
func (s *Source) keptOrRun() (value string, r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().After(s.until) {
		s.value = ""
	}
	if s.value == "" && s.running == nil {
		s.running = &run{done: make(chan struct{})}
		go s.perform(s.running) // ends with the program, whose time is bounded
	}
	return s.value, s.running
}

// perform is one run.
func (s *Source) perform(r *run) {
	defer close(r.done)
	password, err := s.ask()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
	if err != nil {
		r.err = fmt.Errorf("password command %s: %w", s.command[0], err)
		return
	}
	r.password = password
	s.value, s.until = password, time.Now().Add(s.cache)
}

// Forget has the next Password get another, unless that has happened since this one was returned: it was refused.
func (s *Source) Forget(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value == password {
		s.value = ""
	}
}

// ask runs the program once.
func (s *Source) ask() (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), s.wait)
	defer stop()
	cmd := exec.CommandContext(ctx, s.command[0], s.command[1:]...)
	cmd.WaitDelay = time.Second // a child that keeps its output open
	out, said := &bounded{}, &bounded{}
	cmd.Stdout, cmd.Stderr = out, said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n"); line != "" {
			return "", fmt.Errorf("%w: %.200q", err, line)
		}
		return "", err
	}
	return firstLine(out.Bytes())
}

// bounded keeps no more than maxPassword.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxPassword - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// firstLine is the password in a text.
func firstLine(text []byte) (string, error) {
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) == 0 {
		return "", errors.New("there is no password in it")
	}
	return string(line), nil
}
