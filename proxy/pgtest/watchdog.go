package pgtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// The watchdog and a program started with runScript agree through two files in the cluster's directory, so that no
// program outlives the watchdog whatever the order of events: the program's shell writes "pid" and then looks for
// "live"; the watchdog removes "live" and then reads "pid". One of them always sees the other.
const (
	liveFile = "live" // there while the parent lives
	pidFile  = "pid"  // process id of the program that runs in the directory
	shmFile  = "shm"  // POSIX shared memory a killed server left, one path a line
)

// runScript runs the program $2… for the directory $1.
const runScript = `
dir=$1
shift
echo $$ >"$dir/pid" || exit 1
[ -e "$dir/live" ] || exit 1
exec "$@"
`

// watchdogScript waits for the end of its standard input, then ends the program and removes everything. PostgreSQL
// needs at most 5 s to stop at once; the bound is twice that. A zombie answers kill -0 for as long as nobody reaps
// it, which where /proc tells is not waited for.
const watchdogScript = `
trap '' HUP INT TERM
while read -r _; do :; done
dir=$1
cd / || exit 1
runs() { kill -0 "$pid" 2>/dev/null && ! grep -q ') Z ' "/proc/$pid/stat" 2>/dev/null; }
nap() { sleep 0.02 2>/dev/null || sleep 1; }
rm -f "$dir/live"
pid=$(cat "$dir/pid" 2>/dev/null)
if [ -n "$pid" ]; then
	kill -CONT "$pid" 2>/dev/null
	kill -QUIT "$pid" 2>/dev/null
	n=0
	while [ $n -lt 500 ] && runs; do nap; n=$((n + 1)); done
	! runs || kill -KILL "$pid" 2>/dev/null
fi
if [ -s "$dir/data/postmaster.pid" ]; then
	set -- $(sed -n 7p "$dir/data/postmaster.pid") # its key and its id
	[ -n "$2" ] && ipcrm -m "$2" 2>/dev/null
fi
if [ -s "$dir/shm" ]; then
	while read -r path; do rm -f "$path"; done <"$dir/shm"
fi
n=0
while [ $n -lt 100 ]; do
	rm -rf "$dir" 2>/dev/null
	[ -e "$dir" ] || exit 0
	nap
	n=$((n + 1))
done
exit 1
`

// watchdog is the shell that cleans up after one cluster once its pipe closes.
type watchdog struct {
	pipe io.Closer     // closing it, or dying, sets the watchdog to work
	done chan struct{} // closed when the watchdog has ended
	cmd  *exec.Cmd
}

// startWatchdog puts dir in the care of a watchdog. The goroutine that waits for it ends with it, and keeps the pipe
// reachable until then.
func startWatchdog(dir string) (*watchdog, error) {
	if err := os.WriteFile(filepath.Join(dir, liveFile), nil, 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "pgtest-watchdog", dir)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/bin:/bin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		_ = pipe.Close()
		return nil, fmt.Errorf("start the watchdog of %s: %w", dir, err)
	}
	w := &watchdog{pipe: pipe, done: make(chan struct{}), cmd: cmd}
	go func() {
		defer close(w.done)
		_ = cmd.Wait() // what matters is whether the directory is gone
	}()
	return w, nil
}

// release sets the watchdog to work and waits until it has ended.
func (w *watchdog) release() {
	_ = w.pipe.Close()
	<-w.done
}
