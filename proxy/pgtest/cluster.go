package pgtest

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Options says what cluster to start. The zero value is a fast cluster for tests.
type Options struct {
	// Durable keeps PostgreSQL's own settings for safety on disk, for the bench and the demo.
	// False turns fsync, synchronous_commit and full_page_writes off: what was committed within the last half second
	// before Kill or an immediate shutdown may be lost, except after `SET synchronous_commit = on`.
	Durable bool

	// Settings are lines of postgresql.conf, such as "max_connections": "60"; they win over every default here
	// but the port and the socket directory. The server must be able to read files they name: see WriteFile.
	Settings map[string]string

	// HBA lines are put into pg_hba.conf before the default, which trusts the socket and 127.0.0.1. One line
	// stands before them: user postgres over the socket is trusted, which is how Exec and Start come in.
	HBA []string

	// Log receives a copy of the server's log, from one goroutine at a time; nil means none.
	Log io.Writer

	// BinDir holds initdb and postgres; empty means to look as FindBinaries does.
	BinDir string
}

// Cluster is one private PostgreSQL server with its data; any goroutine may call any method.
// It must be ended with Stop.
type Cluster struct {
	opts     Options
	bin      string // directory of the server programs
	dir      string // holds everything: data, log, socket; owned by acct
	acct     account
	port     int
	version  int
	watchdog *watchdog
	follow   *follower // nil without Options.Log

	// turn is held over a whole change of life (start, shutdown, kill), which takes as long as PostgreSQL does:
	// such changes queue behind one another.
	turn sync.Mutex

	proc *process // guarded by turn; nil while PostgreSQL is down
	gone bool     // guarded by turn; Stop has removed the directory
}

// Start makes a cluster with superuser "postgres" and database "postgres", and returns once it takes connections.
// ctx bounds the start only. The error carries the end of the server's log.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	bin, err := FindBinaries(o.BinDir)
	if err != nil {
		return nil, err
	}
	acct, err := findAccount()
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(acct)
	if err != nil {
		return nil, err
	}
	g, err := startWatchdog(dir)
	if err != nil {
		_ = os.RemoveAll(dir) // the error is why there is no watchdog
		return nil, err
	}
	c := &Cluster{opts: o, bin: bin, dir: dir, acct: acct, watchdog: g}
	if err := c.create(ctx); err != nil {
		_ = c.Stop()
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return c, nil
}

// New is Start for a test: it stops the cluster when the test ends, and fails the test where PostgreSQL is missing.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return c
}

// create fills the directory and starts the server on the first port that is free.
func (c *Cluster) create(ctx context.Context) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.fill(ctx); err != nil {
		return err
	}
	if c.opts.Log != nil {
		c.follow = startFollower(c.logPath(), c.opts.Log)
	}
	return c.startOnFreePort(ctx, freePort)
}

// fill writes the data directory: a copy of the template and the cluster's own configuration.
func (c *Cluster) fill(ctx context.Context) error {
	tmpl, err := findTemplate(ctx, c)
	if err != nil {
		return err
	}
	if err := copyTree(ctx, tmpl, c.DataDir(), c.acct); err != nil {
		return fmt.Errorf("copy the template data directory: %w", err)
	}
	if c.version, err = majorVersion(c.DataDir()); err != nil {
		return err
	}
	return writeConfig(c.DataDir(), c.opts, c.acct)
}

// Port is the TCP port; it stays the same over Restart and StartAgain.
func (c *Cluster) Port() int { return c.port }

// Host is "127.0.0.1".
func (c *Cluster) Host() string { return host }

// SocketDir is the directory of the socket .s.PGSQL.PORT.
func (c *Cluster) SocketDir() string { return c.dir }

// DataDir is PostgreSQL's data directory, owned by the user that PostgreSQL runs as.
func (c *Cluster) DataDir() string { return filepath.Join(c.dir, "data") }

// Version is PostgreSQL's major version, such as 15.
func (c *Cluster) Version() int { return c.version }

// URL names a database of the cluster for user postgres over TCP.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@%s:%d/%s?sslmode=disable", host, c.port, url.PathEscape(database))
}

// Exec runs sql, which may be several statements, as superuser in database postgres on a connection of its own,
// over the socket, so that Options.HBA does not touch it.
func (c *Cluster) Exec(ctx context.Context, sql string) error {
	conn, err := pgconn.Connect(ctx, c.socketURL())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, sql).ReadAll()
	return err
}

// WriteFile writes a file that only the server can read, such as a TLS key, and returns its path;
// name is taken inside the data directory.
func (c *Cluster) WriteFile(name string, data []byte) (string, error) {
	path := filepath.Join(c.DataDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", err
	}
	return path, c.acct.own(path)
}

// socketURL names database postgres for the superuser over the socket.
func (c *Cluster) socketURL() string {
	return fmt.Sprintf("postgres://postgres@/postgres?host=%s&port=%d&sslmode=disable", url.QueryEscape(c.dir), c.port)
}
