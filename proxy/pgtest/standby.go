package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// standbyFile has PostgreSQL start in recovery.
const standbyFile = "standby.signal"

// NewStandby starts a streaming standby of c, which answers reads, on a port of its own. c is stopped for it meanwhile, in mode fast. The
// test stops the standby when it ends.
func NewStandby(t testing.TB, c *Cluster) *Cluster {
	t.Helper()
	s, err := c.standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop the standby: %v", err)
		}
	})
	return s
}

// standby copies c while it is down and starts the copy as its standby.
func (c *Cluster) standby(ctx context.Context) (*Cluster, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	hba := filepath.Join(c.DataDir(), "pg_hba.conf")
	if err := appendTo(hba, "local replication all trust\n"); err != nil {
		return nil, err
	}
	if err := c.shutdownLocked("fast"); err != nil {
		return nil, err
	}
	dir, err := makeDir(c.acct)
	if err != nil {
		return nil, err
	}
	g, err := startWatchdog(dir)
	if err != nil {
		_ = os.RemoveAll(dir) // the error is why there is no watchdog
		return nil, err
	}
	s := &Cluster{opts: c.opts, bin: c.bin, dir: dir, acct: c.acct, version: c.version, watchdog: g}
	s.turn.Lock()
	err = copyTree(ctx, c.DataDir(), s.DataDir(), s.acct)
	if err == nil {
		err = c.startAgainLocked()
	}
	if err == nil {
		err = s.followLocked(c)
	}
	if err == nil {
		err = s.startOnFreePort(ctx, freePort)
	}
	s.turn.Unlock()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a standby: %w", err), s.Stop())
	}
	return s, nil
}

// followLocked has the cluster be a standby of from at its next start.
func (c *Cluster) followLocked(from *Cluster) error {
	line := fmt.Sprintf("primary_conninfo = 'host=%s port=%d user=postgres'\n", from.dir, from.port)
	if err := appendTo(filepath.Join(c.DataDir(), "postgresql.conf"), line); err != nil {
		return err
	}
	return c.demoteLocked()
}

func (c *Cluster) demoteLocked() error {
	path := filepath.Join(c.DataDir(), standbyFile)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return c.acct.own(path)
}

// Demote starts a primary again, in mode fast, as a standby of nobody, on the same port. Promote makes it a primary again.
func (c *Cluster) Demote() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.shutdownLocked("fast"); err != nil {
		return err
	}
	if err := c.demoteLocked(); err != nil {
		return err
	}
	return c.startAgainLocked()
}

// Promote makes a standby a primary, and returns when it is one.
func (c *Cluster) Promote(ctx context.Context) error {
	return c.Exec(ctx, "do $$ begin if not pg_promote() then raise 'not promoted in time'; end if; end $$")
}

// appendTo appends text to a file that is there.
func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
