package pool

import (
	"errors"
	"fmt"
	"time"
)

// ErrClosed is given to who waits or asks when the pool closes.
var ErrClosed = errors.New("pool: closed")

// RefusedError says that pressure, not a fault, kept a request from being served.
type RefusedError struct {
	Reason  string        // "wait", "overload" or "queue_full"
	Class   string        // name of the class
	Waited  time.Duration // how long it waited
	Waiting int           // how many of its class still wait
	Active  int           // statements running
	Limit   int           // the run limit
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("pool: refused (%s): class=%s waiting=%d active=%d limit=%d waited=%s",
		e.Reason, e.Class, e.Waiting, e.Active, e.Limit, e.Waited.Round(time.Millisecond))
}

// UnreachableError says that no server connection can be had at present, with the last reason.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return "pool: unreachable: " + e.Err.Error() }
func (e *UnreachableError) Unwrap() error { return e.Err }

// TooManyError is what a Dialer returns when the server has no connection left (53300); it lowers the cap.
type TooManyError struct{ Err error }

func (e *TooManyError) Error() string { return e.Err.Error() }
func (e *TooManyError) Unwrap() error { return e.Err }

// RejectedError is what a Dialer returns when the server refuses this user or database, whoever asks: everybody who
// waits for the key is told, others are not concerned.
type RejectedError struct{ Err error }

func (e *RejectedError) Error() string { return e.Err.Error() }
func (e *RejectedError) Unwrap() error { return e.Err }
