package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// patience bounds every wait for the guard: to start, to stop, to be at rest.
const patience = 15 * time.Second

// guard is a pgguard of our own.
type guard struct {
	url  string // of the database behind it
	web  string // its HTTP address
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why; written before done is closed
}

// startGuard runs `pgguard serve` in front of upstream and returns once it is ready.
func startGuard(ctx context.Context, s *settings, upstream, log string) (*guard, error) {
	clients, err := freeAddress()
	if err != nil {
		return nil, err
	}
	web, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.cache, "guard.yaml")
	// A busy machine makes everybody wait, which is not what is tested here.
	text := "classes:\n  - name: all\n    max_wait: 1m\n    interactive: false\n" + fmt.Sprintf("pool:\n  max_servers: %d\n", s.pool)
	if s.pinned > 0 {
		text += fmt.Sprintf("  max_pinned: %d\n", s.pinned)
	}
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	g := &guard{web: web, done: make(chan struct{})}
	g.cmd = exec.Command(s.guard, "serve", "-c", config, "--listen", clients, "--http", web)
	g.cmd.Env = append(os.Environ(), "PGGUARD_UPSTREAM="+upstream)
	g.cmd.Stdout, g.cmd.Stderr = out, out
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches the drivers first
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		g.err = g.cmd.Wait()
		close(g.done)
	}()
	u, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	u.Host = clients
	g.url = u.String()
	if err := g.await(ctx, g.ready); err != nil {
		g.stop()
		return nil, fmt.Errorf("wait for the guard (its log is %s): %w", log, err)
	}
	return g, nil
}

// await polls until f succeeds, patience is over, or the guard has ended.
func (g *guard) await(ctx context.Context, f func(context.Context) error) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-g.done:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func (g *guard) ready(ctx context.Context) error { return g.get(ctx, "/readyz", nil) }

// get asks the guard's HTTP address; a non-nil into receives the JSON.
func (g *guard) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.web+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, res.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// state is the part of /api/v1/state that is looked at.
type state struct {
	Clients map[string]int `json:"clients"`
	Pinned  map[string]int `json:"pinned_clients"`
	Panics  uint64         `json:"panics"`
}

// atRest fails while a client is connected or pinned.
func (g *guard) atRest(ctx context.Context) error {
	var st state
	if err := g.get(ctx, "/api/v1/state", &st); err != nil {
		return err
	}
	for _, counts := range []map[string]int{st.Clients, st.Pinned} {
		for key, n := range counts {
			if n != 0 {
				return fmt.Errorf("after everybody left the guard has %d %s", n, key)
			}
		}
	}
	if st.Panics > 0 {
		return fmt.Errorf("%d panics in the guard", st.Panics)
	}
	return nil
}

// blame adds to r what is wrong with the guard after its clients have left.
func (g *guard) blame(ctx context.Context, r *result) {
	if err := g.await(ctx, g.atRest); err != nil {
		r.add("%v", err)
	}
}

// stop ends the guard and waits for it.
func (g *guard) stop() {
	_ = g.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-g.done:
	case <-time.After(patience):
		_ = g.cmd.Process.Kill()
		<-g.done
	}
}

// freeAddress returns a local address nobody listened on a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
