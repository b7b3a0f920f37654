package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// child is a program that runs beside the harness and ends with it.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	once sync.Once
}

// startChild starts the program with its output going to log; env is added to our own environment. One goroutine keeps the thread that started it until it
// ends, because on Linux the program is killed when that thread dies, which is when the harness does.
func startChild(log io.Writer, path string, args, env []string, as *syscall.Credential) (*child, error) {
	c := &child{cmd: exec.Command(path, args...), done: make(chan struct{})}
	if log != io.Discard { // without a writer the output goes to the null device and costs us nothing
		c.cmd.Stdout, c.cmd.Stderr = log, log
	}
	c.cmd.Env = append(os.Environ(), env...)
	// A session of its own, as a daemon has: the kernel's scheduler groups processes by session, and a proxy that shares
	// one with the load generator is scheduled worse than one that does not.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setsid: true}
	dieWithParent(c.cmd.SysProcAttr)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.done)
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_ = c.cmd.Wait() // it is ended by a signal, which Wait calls an error
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// ended reports whether the program has ended by itself or by stop.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// childPatience is how long a child may take to end politely.
const childPatience = 5 * time.Second

// stop asks the program to end, kills it when it does not, and waits for it. It may be called more than once.
func (c *child) stop() {
	c.once.Do(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		select {
		case <-c.done:
		case <-time.After(childPatience):
			_ = c.cmd.Process.Kill()
			<-c.done
		}
	})
}
