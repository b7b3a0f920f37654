package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"pgguard/proxy/pgtest"
)

// demoCommand plays the story on a private PostgreSQL, direct and guarded; pgguard demo starts it.
type demoCommand struct {
	Guard   string `placeholder:"PATH" help:"The guard. Default: pgguard beside this program."`
	Stay    bool   `help:"Leave the server, the guard and its metrics running until interrupted, and print where they are."`
	Results string `default:"bench/results" placeholder:"DIR" help:"Where the chart and the figures go."`
}

// Run is called by the parser.
func (c *demoCommand) Run(s *session) error {
	guard := c.Guard
	if guard == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		guard = filepath.Join(filepath.Dir(self), "pgguard")
	}
	web, err := pgtest.FreeAddress()
	if err != nil {
		return err
	}
	return Demo(s.ctx, DemoConfig{
		Out: s.stdout, ResultsDir: c.Results, Stay: c.Stay, HTTP: web,
		StartGuard: func(ctx context.Context, upstream string) (string, int, func(), error) {
			return startDefault(ctx, guard, upstream, web, s.stderr)
		},
	})
}

// startDefault starts a guard with nothing but its addresses, whatever else stands in the environment, and returns when clients can be served, and where.
// Its log, warnings and worse, goes to log.
func startDefault(ctx context.Context, guard, upstream, web string, log io.Writer) (listen string, pid int, stop func(), err error) {
	if listen, err = pgtest.FreeAddress(); err != nil {
		return "", 0, nil, err
	}
	var env []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PGGUARD_") {
			env = append(env, name+"=") // an empty one is one that is not set
		}
	}
	// An empty XDG_CACHE_HOME and HOME: it learns for itself, and leaves nothing.
	env = append(env, "PGGUARD_UPSTREAM="+upstream, "XDG_CACHE_HOME=", "HOME=")
	c, err := startChild(log, guard, []string{"serve", "--listen", listen, "--http", web, "--log-level", "warn"}, env, nil)
	if err != nil {
		return "", 0, nil, err
	}
	if err := waitFor(ctx, c, func() error { return httpReady(ctx, "http://"+web+"/readyz") }); err != nil {
		c.stop()
		return "", 0, nil, fmt.Errorf("wait until it is ready: %w", err)
	}
	return listen, c.pid(), c.stop, nil
}
