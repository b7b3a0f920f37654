package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// startWithin bounds one start: crash recovery of a big data directory on a loaded machine takes seconds.
const startWithin = 30 * time.Second

// portTries bounds the search for a port. Two searchers meet about once in 10,000 tries.
const portTries = 20

// cannotConnectNow is the SQLSTATE of a server that is starting, recovering or stopping.
const cannotConnectNow = "57P03"

// errPortTaken is why a server did not start: somebody else listens on its port.
var errPortTaken = errors.New("the port is taken")

// startOnFreePort starts the server on a port that pick returns, and on the next if somebody else was quicker.
func (c *Cluster) startOnFreePort(ctx context.Context, pick func() (int, error)) error {
	for range portTries {
		port, err := pick()
		if err != nil {
			return err
		}
		c.port = port
		if err = c.startLocked(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return fmt.Errorf("no free port in %d tries", portTries)
}

// startLocked starts the server on the cluster's port and waits until it takes connections. turn must be held.
func (c *Cluster) startLocked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	from := c.logSize()
	p, err := c.launch("postgres", "-D", c.DataDir(), "-p", strconv.Itoa(c.port), "-k", c.dir)
	if err != nil {
		return err
	}
	err = c.ready(ctx, p)
	log := c.logSince(from)
	taken := strings.Contains(log, "could not bind") && strings.Contains(log, "already in use")
	if err == nil && !taken { // with several addresses it starts on those that are left
		_ = os.Remove(filepath.Join(c.dir, shmFile)) // a start removes what a crash left
		c.proc = p
		return nil
	}
	end(p)
	if taken {
		return fmt.Errorf("%w: port %d", errPortTaken, c.port)
	}
	return fmt.Errorf("%w; the end of its log:\n%s", err, lastLines(log, 20))
}

// ready waits until the server takes connections, ends, or ctx ends.
func (c *Cluster) ready(ctx context.Context, p *process) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.knock(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("postgres ended: %w", errors.Join(p.err, err))
		case <-ctx.Done():
			return fmt.Errorf("no connection: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// knock makes one connection over the socket, which opens at the same time as the TCP port. To be refused counts as
// an answer, unless it is because the server is still starting: under load the clients of before may be back already.
func (c *Cluster) knock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgconn.Connect(ctx, c.socketURL())
	if err == nil {
		return conn.Close(ctx)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code != cannotConnectNow {
		return nil
	}
	return err
}
