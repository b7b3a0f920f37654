package instance

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoSession is why nobody was cancelled or ended.
var ErrNoSession = errors.New("the session has ended by itself")

// Signal cancels what a session of the server runs, or ends the session, whoever's it is. It logs in for that as the upstream's own user, who must be allowed to, and
// blocks until the server has answered, or ctx ends.
func (in *Instance) Signal(ctx context.Context, pid int32, end bool) error {
	c, err := in.ownChannel(ctx, in.Door().Upstream.User, in.database(), nil, 0)
	if err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	defer func() { _ = c.Close(ctx) }()
	text := "select pg_catalog.pg_cancel_backend($1)"
	if end {
		text = "select pg_catalog.pg_terminate_backend($1)"
	}
	var found bool
	if err := c.QueryRow(ctx, text, pid).Scan(&found); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	if !found {
		return ErrNoSession
	}
	return nil
}
