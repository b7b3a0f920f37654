package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
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
	PgBouncer             // a pgbouncer binary, Debian's by default, started for the run
	Guard                 // a pgguard binary, started for the run
	Address               // something that runs already
)

// Target is one of the things measured side by side.
type Target struct {
	Name   string
	Kind   Kind
	URL    string // Address only
	PID    int    // Address only; 0 when its process is not ours to look at
	Path   string // of the binary; Guard and PgBouncer, whose may be empty
	Config string // configuration file; Guard only, may be empty
	Pool   int    // most server connections, Guard and PgBouncer; 0 leaves it to the scenario, else to the program
	Limit  int    // frozen run limit, Guard only; 0 leaves it to the guard
	Fleet  int    // so many of them in front of the same server, each for its share of the clients; 0 is one

	of   string // in a sweep: the name of the target this is a size of
	size int    // in a sweep: that size
	fifo bool   // guard: who comes first is served first, and may wait for as long as he likes
}

// ParseTarget reads the value of --target:
//
//	direct
//	pgbouncer[=PATH][,pool=N][,fleet=N]
//	guard=PATH[,pool=N][,limit=N][,fleet=N] or guard=PATH,config=FILE[,fleet=N]
//	NAME=URL[,pid=N]
//
// Any may have ,name=NAME to appear twice under different names.
func ParseTarget(s string) (Target, error) {
	parts := strings.Split(s, ",")
	name, value, _ := strings.Cut(parts[0], "=")
	t := Target{Name: name}
	switch {
	case name == "" || (value == "" && name != "direct" && name != "pgbouncer"):
		return t, fmt.Errorf("target %q: want direct, pgbouncer, guard=PATH or NAME=URL", parts[0])
	case strings.Contains(value, "://"):
		t.Kind, t.URL = Address, value
	case name == "guard":
		t.Kind, t.Path = Guard, value
	case name == "pgbouncer":
		t.Kind, t.Path = PgBouncer, value
	case value != "":
		return t, fmt.Errorf("target %q: the value is not a URL", name)
	}
	for _, option := range parts[1:] {
		if err := t.set(option); err != nil {
			return t, fmt.Errorf("target %q: %w", name, err)
		}
	}
	if (t.Pool > 0 || t.Limit > 0) && t.Config != "" {
		return t, fmt.Errorf("target %q: write the pool's size and limit into %s", name, t.Config)
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
	case key == "pool" && (t.Kind == PgBouncer || t.Kind == Guard):
		return number(&t.Pool)
	case key == "fleet" && (t.Kind == PgBouncer || t.Kind == Guard):
		return number(&t.Fleet)
	case key == "limit" && t.Kind == Guard:
		return number(&t.Limit)
	case key == "config" && t.Kind == Guard && value != "":
		t.Config = value
		return nil
	}
	return fmt.Errorf("unknown option %q", key)
}

// wish is what a measurement asks of the proxies that are started for it. Zero leaves a program its own default. What the
// target says itself wins.
type wish struct {
	servers   int               // most server connections
	limit     int               // statements running at once; guards only
	queueWait int               // seconds that a client may wait for one
	fifo      bool              // who comes first is served first; guards only
	users     []string          // beside the URL's, without a password; PgBouncer only, which must be told
	secrets   map[string]string // passwords of users whom the program asks for them, by SCRAM; nil: it trusts everybody
}

// as is an address with one of the users who are asked for their passwords in it, if any is.
func (w wish) as(address string) string {
	u, err := url.Parse(address)
	for _, name := range slices.Sorted(maps.Keys(w.secrets)) {
		if err == nil {
			u.User = url.UserPassword(name, w.secrets[name])
			return u.String()
		}
	}
	return address
}

// fifoWait is how long clients may wait in order of arrival: longer than any of them does.
const fifoWait = 60

// live is a target that can be connected to. stop ends what was started for it.
type live struct {
	url     string // of all of a fleet
	pids    []int
	metrics []string // the URLs of guards' metrics
	stop    func()
}

// start brings the target to life in front of the server at serverURL. Output of programs goes to log.
func (t Target) start(ctx context.Context, serverURL string, w wish, log io.Writer) (live, error) {
	if t.Pool > 0 {
		w.servers = t.Pool
	}
	if t.Limit > 0 {
		w.limit = t.Limit
	}
	if t.fifo {
		w.fifo, w.queueWait = true, fifoWait
	}
	if t.Fleet > 1 {
		return t.startFleet(ctx, serverURL, w, log)
	}
	switch t.Kind {
	case Direct:
		return live{url: serverURL, stop: func() {}}, nil
	case PgBouncer:
		return startPgBouncer(ctx, t.Path, serverURL, w, log)
	case Guard:
		return startGuard(ctx, t, serverURL, w, log)
	case Address:
		l := live{url: t.URL, stop: func() {}}
		if t.PID != 0 {
			l.pids = []int{t.PID}
		}
		return l, nil
	}
	panic("unknown kind of target")
}

// startFleet starts the fleet's proxies one after another and returns them as one.
func (t Target) startFleet(ctx context.Context, serverURL string, w wish, log io.Writer) (live, error) {
	one := t
	one.Fleet = 1
	var fleet live
	var stops []func()
	fleet.stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	var addresses []string
	for range t.Fleet {
		l, err := one.start(ctx, serverURL, w, log)
		if err != nil {
			fleet.stop()
			return live{}, err
		}
		stops = append(stops, l.stop)
		fleet.pids, fleet.metrics = append(fleet.pids, l.pids...), append(fleet.metrics, l.metrics...)
		u, err := url.Parse(l.url)
		if err != nil {
			fleet.stop()
			return live{}, fmt.Errorf("read the address of a proxy: %w", err)
		}
		addresses = append(addresses, u.Host)
	}
	fleet.url = through(serverURL, strings.Join(addresses, ","))
	return fleet, nil
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
