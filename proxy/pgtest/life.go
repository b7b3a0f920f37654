package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// shutdownWithin bounds a shutdown in any mode; "smart" waits for clients, who may never leave.
const shutdownWithin = 30 * time.Second

// errGone is what a stopped cluster answers.
var errGone = errors.New("the cluster has been stopped and removed")

// modes are PostgreSQL's ways to stop, by the signal that asks for each.
var modes = map[string]syscall.Signal{
	"smart":     syscall.SIGTERM, // waits until every client has left
	"fast":      syscall.SIGINT,  // ends every client's transaction and connection, and saves
	"immediate": syscall.SIGQUIT, // drops everything; the next start recovers as from a crash
}

// Stop ends the server at once, whatever state it is in, and removes its directory. It is idempotent, waits until
// all is gone, and cuts a Shutdown or Restart short that is under way.
func (c *Cluster) Stop() error {
	c.watchdog.release()
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.gone {
		return nil
	}
	if c.proc != nil {
		end(c.proc)
		c.proc = nil
	}
	if c.follow != nil {
		c.follow.stop()
	}
	if err := os.RemoveAll(c.dir); err != nil { // there only if somebody killed the watchdog
		return err
	}
	c.gone = true
	return nil
}

// Shutdown stops the server in mode "smart", "fast" or "immediate" and keeps its data for StartAgain. A server
// that still runs after 30 s is an error, and goes on stopping.
func (c *Cluster) Shutdown(mode string) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.shutdownLocked(mode)
}

// Restart stops the server as Shutdown does and starts it again on the same port.
func (c *Cluster) Restart(mode string) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.shutdownLocked(mode); err != nil {
		return err
	}
	return c.startAgainLocked()
}

// StartAgain starts the server on the same port after Kill or Shutdown; a server that runs is an error.
func (c *Cluster) StartAgain() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.startAgainLocked()
}

// Kill crashes the server: SIGKILL to the postmaster and to each of its children. It returns when all have gone.
func (c *Cluster) Kill() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.runningLocked(); err != nil {
		return err
	}
	if err := c.crash(c.proc); err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	c.proc = nil
	return nil
}

// runningLocked returns why the server cannot be stopped, if it cannot.
func (c *Cluster) runningLocked() error {
	switch {
	case c.gone:
		return errGone
	case c.proc == nil:
		return errors.New("the server is down")
	}
	return nil
}

func (c *Cluster) shutdownLocked(mode string) error {
	sig, ok := modes[mode]
	if !ok {
		return fmt.Errorf("shutdown mode %q is none of smart, fast, immediate", mode)
	}
	if err := c.runningLocked(); err != nil {
		return err
	}
	if err := c.proc.signal(sig); err != nil {
		return fmt.Errorf("shut PostgreSQL down: %w", err)
	}
	if !c.proc.ended(shutdownWithin) {
		return fmt.Errorf("PostgreSQL still runs %v after it was asked to shut down (%s)", shutdownWithin, mode)
	}
	c.proc = nil
	return nil
}

func (c *Cluster) startAgainLocked() error {
	if c.gone {
		return errGone
	}
	if c.proc != nil {
		return errors.New("the server runs already")
	}
	return c.startLocked(context.Background())
}

// end stops a process at once and waits for it; after 10 s by force.
func end(p *process) {
	_ = p.signal(syscall.SIGQUIT) // a process that has ended is what is wanted
	if !p.ended(10 * time.Second) {
		_ = p.signal(syscall.SIGKILL)
		<-p.done
	}
}
