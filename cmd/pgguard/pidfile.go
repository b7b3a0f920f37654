package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// writePID writes the number of this process to a new file, and returns what removes it. One that is left of a process which has ended is replaced;
// one of a process that runs, or that cannot be read, is an error.
func writePID(path string) (remove func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("pidfile: %w", err)
	default:
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || pid <= 0 || pid != os.Getpid() && isRunning(pid) {
			return nil, fmt.Errorf("pidfile: %s is there already; if no other pgguard or PgBouncer runs with it, remove it", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("pidfile: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	return func() { removePID(path) }, nil
}

// replacePID is writePID where the file is that of a process whose place this one has taken.
func replacePID(path string) (remove func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	next := path + ".next"
	_ = os.Remove(next)
	if remove, err = writePID(next); err != nil {
		return nil, err
	}
	if err := os.Rename(next, path); err != nil {
		remove()
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	return func() { removePID(path) }, nil
}

// removePID removes a pidfile, unless another process has written its number there.
func removePID(path string) {
	if text, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(os.Getpid()) {
		_ = os.Remove(path)
	}
}
