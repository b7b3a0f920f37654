package pool

import (
	"errors"
	"fmt"
	"time"
)

// ErrClosed is given to who waits or asks when the pool closes.
var ErrClosed = errors.New("pool: closed")

// ErrHeld is given to who has waited before a shut gate and is not patient any more.
var ErrHeld = errors.New("pool: held up")

// Lack is what a request has waited for in vain.
type Lack string

// The lacks.
const (
	LackServer  Lack = "server"  // as many servers as there may be are lent
	LackShare   Lack = "share"   // its class has its share of them
	LackReserve Lack = "reserve" // servers are scarce, and those left are kept for interactive work
	LackToken   Lack = "limit"   // as many statements run as may
	LackSlow    Lack = "slow"    // as many slow statements run as may
	LackConvoy  Lack = "convoy"  // as many of this very statement run as may, because most of them wait for a lock
	LackKey     Lack = "key"     // its user or database has as many as the server allows it
	LackLogin   Lack = "login"   // a server is free to be opened, and could not be in time
	LackCeiling Lack = "ceiling" // the database has been away and is given work again little by little
)

// RefusedError says that pressure, not a fault, kept a request from being served.
type RefusedError struct {
	Reason string        // "wait", "overload", "queue_full" or "too_late"
	Lack   Lack          // what it has waited for, as of the end
	Class  string        // name of the class
	Waited time.Duration // how long it waited
	// Expected is how long one will wait who comes now; 0 if that is not known. InTime is how long he may, for his client still to be there.
	Expected, InTime time.Duration
	Waiting          int // how many of its class wait, itself included if it did
	Active           int // statements running
	InGap            int // transactions that keep a run token in a short gap between two
	Limit            int // the run limit
	Lent             int // servers lent
	Idle             int // of them, in transactions that do nothing
	Own              int // of those lent, to its class
	Cap              int // how many there may be
	// Err is the server's own last answer to a login, if that is what is in the way; else nil.
	Err error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("pool: refused (%s: %s): class=%s waiting=%d active=%d limit=%d servers=%d idle=%d cap=%d waited=%s",
		e.Reason, e.Lack, e.Class, e.Waiting, e.Active, e.Limit, e.Lent, e.Idle, e.Cap, e.Waited.Round(time.Millisecond))
}

// Unwrap returns the server's own answer, if there was one.
func (e *RefusedError) Unwrap() error { return e.Err }

// UnreachableError says that no server connection can be had at present, with the last reason.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return "pool: unreachable: " + e.Err.Error() }
func (e *UnreachableError) Unwrap() error { return e.Err }

// TooManyError is what a Dialer returns when the server has no connection left (53300); it lowers the cap.
type TooManyError struct{ Err error }

func (e *TooManyError) Error() string { return e.Err.Error() }
func (e *TooManyError) Unwrap() error { return e.Err }

// KeyFullError is what a Dialer returns when the server says that this user, or this database, has as many connections as it may have:
// that is no limit of others. Who waits for the key is told if no server of the pool is among those connections.
type KeyFullError struct {
	Err      error
	Database bool // it is the database's limit, not the user's
}

func (e *KeyFullError) Error() string { return e.Err.Error() }
func (e *KeyFullError) Unwrap() error { return e.Err }

// RejectedError is what a Dialer returns when the server refuses this user or database, whoever asks: everybody who
// waits for the key is told, others are not concerned.
type RejectedError struct{ Err error }

func (e *RejectedError) Error() string { return e.Err.Error() }
func (e *RejectedError) Unwrap() error { return e.Err }
