package load

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Labels of failed requests that have no SQLSTATE. A failure at login with an SQLSTATE is labelled "login " and the code.
const (
	Timeout        = "client_timeout"  // the client's deadline passed while it waited for an answer
	ConnectTimeout = "connect_timeout" // the client's deadline passed while it connected or logged in
	ConnectFailed  = "connect_failed"  // the address did not accept, or closed during login without a reason
	Closed         = "closed"          // the other side closed without a reason
	Queued         = "client_queue"    // the client's own pool had no free connection before the deadline
	Late           = "late"            // an answer came, after the deadline
)

// Error is a request that failed, with its label.
type Error struct {
	Label string
	// Kept says that the client still has its connection.
	Kept bool
	err  error
}

func (e *Error) Error() string { return e.Label + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Label returns the label of a failed request, "" for nil and "other" for an error that is not from this package.
func Label(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Label
	default:
		return "other"
	}
}

// Fail returns an error with a label, for a request that never reached a connection.
func Fail(label string) error { return &Error{Label: label, Kept: true, err: errors.New("not sent")} }

// Connections counts what happened to the connections of many clients. The zero value is ready; any goroutine may use it.
type Connections struct {
	Attempts    atomic.Int64 // logins begun
	LoginFailed atomic.Int64 // logins that did not succeed
	OwnDeadline atomic.Int64 // established connections the client closed because its deadline had passed
	ByServer    atomic.Int64 // established connections the other side closed

	clients atomic.Int64 // made so far
}

// Client is one application's connection: opened when needed, closed when the deadline passes, opened again.
// One goroutine uses it at a time.
type Client struct {
	cfg   *pgconn.Config
	count *Connections
	conn  *Conn
}

// NewClient returns a client without a connection. cfg and count may be shared by many. Where cfg names several hosts the
// clients of one count take them in turn, and each stays with its own.
func NewClient(cfg *pgconn.Config, count *Connections) *Client {
	return &Client{cfg: oneHost(cfg, int(count.clients.Add(1)-1)), count: count}
}

// Connect logs in unless there is a connection. Its error is an *Error.
func (c *Client) Connect(ctx context.Context, deadline time.Time) error {
	if c.conn != nil {
		return nil
	}
	c.count.Attempts.Add(1)
	conn, err := Dial(ctx, c.cfg, deadline)
	if err != nil {
		c.count.LoginFailed.Add(1)
		return &Error{Label: loginLabel(err), err: err}
	}
	c.conn = conn
	return nil
}

// Exec runs one statement, connecting first when necessary, all by the deadline. Its error is an *Error; unless Kept,
// the connection is gone and the next Exec opens another.
func (c *Client) Exec(ctx context.Context, sql string, deadline time.Time) (rows int, err error) {
	return c.Do(ctx, deadline, func(conn *Conn) (int, error) { return conn.Query(sql, deadline) })
}

// Do runs one exchange on the connection, as Exec does.
func (c *Client) Do(ctx context.Context, deadline time.Time, exchange func(*Conn) (rows int, err error)) (rows int, err error) {
	if err := c.Connect(ctx, deadline); err != nil {
		return 0, err
	}
	rows, err = exchange(c.conn)
	if err == nil {
		return rows, nil
	}
	var pe *pgconn.PgError
	known := errors.As(err, &pe)
	if known && !fatal(err) {
		return rows, &Error{Label: pe.Code, Kept: true, err: err}
	}
	c.Close()
	switch {
	case known:
		c.count.ByServer.Add(1)
		return rows, &Error{Label: pe.Code, err: err}
	case ctx.Err() != nil:
		return rows, &Error{Label: Closed, err: err}
	case timedOut(err):
		c.count.OwnDeadline.Add(1)
		return rows, &Error{Label: Timeout, err: err}
	default:
		c.count.ByServer.Add(1)
		return rows, &Error{Label: Closed, err: err}
	}
}

// Connected reports whether the client has a connection.
func (c *Client) Connected() bool { return c.conn != nil }

// InTransaction reports whether the client has a connection with an open or failed transaction.
func (c *Client) InTransaction() bool { return c.conn != nil && c.conn.InTransaction() }

// Close closes the socket, if there is one, without a word.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Quit says goodbye on the connection, if there is one, and closes it.
func (c *Client) Quit() {
	if c.conn != nil {
		c.conn.Quit()
		c.conn = nil
	}
}

func loginLabel(err error) string {
	var pe *pgconn.PgError
	switch {
	case errors.As(err, &pe):
		return "login " + pe.Code
	case timedOut(err):
		return ConnectTimeout
	default:
		return ConnectFailed
	}
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		(errors.As(err, &ne) && ne.Timeout())
}
