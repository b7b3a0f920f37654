//go:build rails

package rails

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a program may take to start, or a condition to come true.
const patience = 2 * time.Minute

// output keeps what a program has printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// tail is the end of it.
func (o *output) tail() string {
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// process is a program that runs in a process group of its own until stop.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed when it has ended
	once sync.Once
}

// start starts a program; the test ends it, if nobody did before.
func start(t *testing.T, name, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, env
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is its own affair
		close(p.done)
	}()
	t.Cleanup(p.stop)
	return p
}

// stop asks the program to end, and kills its group if it does not.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(30 * time.Second):
		}
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
		if dir := os.Getenv("RAILS_LOGS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, p.name+".log"), []byte(p.out.String()), 0o600); err != nil {
				p.t.Error(err)
			}
		}
	})
}

// await waits until a condition of the program holds.
func (p *process) await(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		select {
		case <-p.done:
			p.t.Fatalf("%s has ended before %s:\n%s", p.name, what, p.out.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: not yet: %s:\n%s", p.name, what, p.out.tail())
		}
	}
}

// listens waits until somebody takes connections at a port.
func (p *process) listens(port int) {
	p.t.Helper()
	p.await("it takes connections", func() bool {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// freePort is one that nobody has just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
