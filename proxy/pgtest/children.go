package pgtest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// crash kills the postmaster and its children, and waits until none is left. The postmaster is halted first, so that
// it starts no child between the count and the kill.
func (c *Cluster) crash(p *process) error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	halted := within(10*time.Second, func() bool {
		state, _, ok := procStat(p.pid())
		return !ok || state != 'R' && state != 'S' && state != 'D'
	})
	pids, err := childrenOf(p.pid())
	if err == nil {
		err = c.noteShm(append(pids, p.pid()))
	}
	if !halted {
		err = errors.Join(err, errors.New("the postmaster does not halt"))
	}
	// Whatever went wrong, a halted postmaster must not be left behind.
	err = errors.Join(err, p.signal(syscall.SIGKILL))
	for _, pid := range pids {
		if kerr := syscall.Kill(pid, syscall.SIGKILL); kerr != nil && !errors.Is(kerr, syscall.ESRCH) {
			err = errors.Join(err, kerr)
		}
	}
	<-p.done
	if !within(10*time.Second, func() bool { return !slices.ContainsFunc(pids, alive) }) {
		err = errors.Join(err, errors.New("children of the postmaster are left after SIGKILL"))
	}
	return err
}

// within polls until ok returns true or d has passed, and returns the last answer.
func within(d time.Duration, ok func() bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-limit.C:
			return ok()
		case <-tick.C:
		}
	}
	return true
}

// noteShm writes down the shared memory of the server that only its next start, or the watchdog, will remove.
func (c *Cluster) noteShm(pids []int) error {
	paths := shmOf(pids)
	if len(paths) == 0 {
		return nil
	}
	return os.WriteFile(filepath.Join(c.dir, shmFile), []byte(strings.Join(paths, "\n")+"\n"), 0o600)
}

// shmOf lists the POSIX shared memory that any of the processes has mapped, where /proc tells: the postmaster maps
// only the table of it, its children the rest.
func shmOf(pids []int) []string {
	found := map[string]bool{}
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)) // not Linux, ended, or not ours to see: nothing
		for line := range strings.Lines(string(text)) {
			if i := strings.Index(line, "/dev/shm/PostgreSQL."); i >= 0 {
				path, _, _ := strings.Cut(strings.TrimSpace(line[i:]), " ") // " (deleted)" may follow
				found[path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// childrenOf lists the direct children of a process: from /proc where there is one, else from ps.
func childrenOf(parent int) ([]int, error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return childrenByPS(parent)
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if _, ppid, ok := procStat(pid); ok && ppid == parent {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// childrenByPS lists the direct children of a process by the ps that POSIX describes.
func childrenByPS(parent int) ([]int, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		var pid, ppid int
		if _, err := fmt.Sscan(line, &pid, &ppid); err == nil && ppid == parent {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// procStat reads the state letter and the parent of a process; ok is false if there is none or no /proc.
func procStat(pid int) (state byte, ppid int, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	// "PID (NAME) STATE PPID …", and a name may hold anything, parentheses too.
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0, 0, false
	}
	ppid, err = strconv.Atoi(fields[1])
	return fields[0][0], ppid, err == nil
}

// alive reports whether a process can still do anything: one that only waits to be reaped cannot.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	state, _, ok := procStat(pid)
	return !ok || (state != 'Z' && state != 'X')
}
