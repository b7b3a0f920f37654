package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Postmaster returns the process that all server processes at url descend from. It fails where the server does not run on
// this machine.
func Postmaster(ctx context.Context, url string) (pid int, err error) {
	conn, err := ConnectSide(ctx, url)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var backend int
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return 0, fmt.Errorf("ask for the server's process: %w", err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", backend))
	if err != nil {
		return 0, fmt.Errorf("look at the server's process: %w", err)
	}
	// On another machine the number may be anybody's.
	if !bytes.Contains(stat, []byte("(postgres)")) {
		return 0, fmt.Errorf("process %d is not the server's: it runs elsewhere", backend)
	}
	f, err := statFields(stat)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(f[1])
}

// treeLooks bounds how often TreeCPU looks again; more than two are needed only while clients log in and out.
const treeLooks = 10

// TreeCPU is the user and system time of a process, its children, and those of their children that have ended.
func TreeCPU(pid int) (sum time.Duration, err error) {
	for range treeLooks {
		before, err := familyOf(pid)
		if err != nil {
			return 0, err
		}
		children, err := childrenCPU(pid)
		if err != nil {
			return 0, err
		}
		// A child that ends between the looks would be in both sums or in none.
		after, err := familyOf(pid)
		sum = after + children
		if err != nil || after == before {
			return sum, err
		}
	}
	return sum, nil
}

// childrenCPU is the time of the children that live.
func childrenCPU(pid int) (total time.Duration, err error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	parent := strconv.Itoa(pid)
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended since
		}
		f, err := statFields(stat)
		if err != nil || f[1] != parent {
			continue
		}
		took, err := familyTime(stat)
		if err != nil {
			return 0, err
		}
		total += took
	}
	return total, nil
}

// familyOf is the time of the process and of its children that have ended.
func familyOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return familyTime(stat)
}

// statFields returns the fields of a stat after the name, field 2, which is in parentheses and may hold anything.
func statFields(b []byte) ([]string, error) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return nil, errors.New("stat has no process name")
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 15 {
		return nil, errors.New("stat is too short")
	}
	return f, nil
}

// familyTime returns utime + stime of the process and of its children that have ended, fields 14 to 17.
func familyTime(b []byte) (time.Duration, error) { return statTime(b, 15) }

// statTime adds up the times from utime, field 14, to the field at end of statFields.
func statTime(b []byte, end int) (time.Duration, error) {
	f, err := statFields(b)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, s := range f[11:end] {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}
