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

	turn chan struct{} // holds one value; who takes it runs the program

	mu    sync.Mutex
	value string    // guarded by mu: what the program said last; empty: nothing that is still good
	until time.Time // guarded by mu: for how long that is used
}

// NewSource returns a source that reads the first line of a file or, if command is not empty, of what that program writes. The program is run
// without a shell, one at a time, and its output is used for cache.
func NewSource(file string, command []string, cache time.Duration) *Source {
	s := &Source{file: file, command: command, cache: cache, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// commandWait bounds a program: a token that takes longer comes too late for the login that waits for it.
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

// Password returns the password, or a *SourceError. fresh: it was got just now, so that to get it again would be of no use.
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
	if v := s.kept(); v != "" {
		return v, false, nil
	}
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return "", true, fmt.Errorf("password command: %w", ctx.Err())
	}
	if v := s.kept(); v != "" { // somebody else has just got it
		return v, true, nil
	}
	if password, err = s.run(ctx); err != nil {
		return "", true, fmt.Errorf("password command %s: %w", s.command[0], err)
	}
	s.mu.Lock()
	s.value, s.until = password, time.Now().Add(s.cache)
	s.mu.Unlock()
	return password, true, nil
}

func (s *Source) kept() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().After(s.until) {
		s.value = ""
	}
	return s.value
}

// Forget has the next Password get another, unless that has happened since this one was returned: it was refused.
func (s *Source) Forget(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value == password {
		s.value = ""
	}
}

// run runs the program once.
func (s *Source) run(ctx context.Context) (string, error) {
	ctx, stop := context.WithTimeout(ctx, commandWait)
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
