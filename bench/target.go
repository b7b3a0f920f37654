package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pgguard/bench/load"
)

// Kind says how a target comes to life.
type Kind int

// The kinds of targets.
const (
	Direct    Kind = iota // the server itself
	PgBouncer             // Debian's pgbouncer, started for the run
	Guard                 // a pgguard binary, started for the run
	Address               // something that runs already
)

// Target is one of the things measured side by side.
type Target struct {
	Name   string
	Kind   Kind
	URL    string // Address only
	PID    int    // Address only; 0 when its process is not ours to look at
	Path   string // of the binary; Guard only
	Config string // configuration file; Guard only, may be empty
	Pool   int    // PgBouncer's pool size
}

// defaultPool is PgBouncer's own default, and what its users run.
const defaultPool = 20

// ParseTarget reads the value of --target:
//
//	direct
//	pgbouncer[,pool=N]
//	guard=PATH[,config=FILE]
//	NAME=URL[,pid=N]
//
// Any may have ,name=NAME to appear twice under different names.
func ParseTarget(s string) (Target, error) {
	parts := strings.Split(s, ",")
	name, value, _ := strings.Cut(parts[0], "=")
	t := Target{Name: name, Pool: defaultPool}
	switch {
	case name == "" || (value == "" && name != "direct" && name != "pgbouncer"):
		return t, fmt.Errorf("target %q: want direct, pgbouncer, guard=PATH or NAME=URL", parts[0])
	case strings.Contains(value, "://"):
		t.Kind, t.URL = Address, value
	case name == "guard":
		t.Kind, t.Path = Guard, value
	case value != "":
		return t, fmt.Errorf("target %q: the value is not a URL", name)
	case name == "pgbouncer":
		t.Kind = PgBouncer
	}
	for _, option := range parts[1:] {
		if err := t.set(option); err != nil {
			return t, fmt.Errorf("target %q: %w", name, err)
		}
	}
	return t, nil
}

func (t *Target) set(option string) error {
	key, value, _ := strings.Cut(option, "=")
	number := func(into *int) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("%s wants a positive number", key)
		}
		*into = n
		return nil
	}
	switch {
	case key == "name" && value != "":
		t.Name = value
		return nil
	case key == "pid" && t.Kind == Address:
		return number(&t.PID)
	case key == "pool" && t.Kind == PgBouncer:
		return number(&t.Pool)
	case key == "config" && t.Kind == Guard && value != "":
		t.Config = value
		return nil
	}
	return fmt.Errorf("unknown option %q", key)
}

// live is a target that can be connected to. stop ends what was started for it.
type live struct {
	url  string
	pid  int
	stop func()
}

// start brings the target to life in front of the server at serverURL. Output of programs goes to log.
func (t Target) start(ctx context.Context, serverURL string, log io.Writer) (live, error) {
	switch t.Kind {
	case Direct:
		return live{url: serverURL, stop: func() {}}, nil
	case PgBouncer:
		return startPgBouncer(ctx, serverURL, t.Pool, log)
	case Guard:
		return startGuard(ctx, t, serverURL, log)
	case Address:
		return live{url: t.URL, pid: t.PID, stop: func() {}}, nil
	}
	panic("unknown kind of target")
}

// startGuard runs `pgguard serve` with nothing but addresses, unless the target names a file, and waits until it is ready.
// The server's URL goes by the environment, because everybody on the machine can read command lines.
func startGuard(ctx context.Context, t Target, serverURL string, log io.Writer) (live, error) {
	clients, err := freeAddress()
	if err != nil {
		return live{}, err
	}
	web, err := freeAddress()
	if err != nil {
		return live{}, err
	}
	args := []string{"serve", "--listen", clients, "--http", web}
	if t.Config != "" {
		args = append(args, "-c", t.Config)
	}
	c, err := startChild(log, t.Path, args, []string{"PGGUARD_UPSTREAM=" + serverURL}, nil)
	if err != nil {
		return live{}, err
	}
	ready := func() error { return httpReady(ctx, "http://"+web+"/readyz") }
	if err := waitFor(ctx, c, ready); err != nil {
		c.stop()
		return live{}, fmt.Errorf("wait for the guard: %w", err)
	}
	return live{url: through(serverURL, clients), pid: c.pid(), stop: c.stop}, nil
}

// startPatience is how long a proxy may take until it serves.
const startPatience = 15 * time.Second

// waitFor polls ready until it succeeds, the child ends, or startPatience has passed.
func waitFor(ctx context.Context, c *child, ready func() error) error {
	for end := time.Now().Add(startPatience); ; {
		err := ready()
		if err == nil {
			return nil
		}
		switch {
		case c.ended():
			return errors.New("it ended at once")
		case time.Now().After(end):
			return err
		case !load.Sleep(ctx, 50*time.Millisecond):
			return ctx.Err()
		}
	}
}

func httpReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}

// loginReady logs in once.
func loginReady(ctx context.Context, address string) error {
	cfg, err := load.ParseURL(address, "")
	if err != nil {
		return err
	}
	conn, err := load.Dial(ctx, cfg, time.Now().Add(time.Second))
	if err != nil {
		return err
	}
	conn.Quit()
	return nil
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

// through returns the server's URL with the proxy's address in it.
func through(serverURL, address string) string {
	u, err := url.Parse(serverURL)
	if err != nil {
		return "postgres://" + address + "/postgres?sslmode=disable"
	}
	u.Host = address
	q := u.Query()
	q.Del("host")
	q.Del("port")
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return u.String()
}
