package load

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Remove puts the clients of cfg at a distance: what they send arrives half a round trip later, and so does the answer,
// logins included. The delay is in the client, so that it needs no network and costs no other process anything.
func Remove(cfg *pgconn.Config, trip time.Duration) {
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &distant{Conn: conn, half: trip / 2}, nil
	}
}

// distant is a connection over a distance, for a client that sends and then waits for the answer.
type distant struct {
	net.Conn
	half  time.Duration
	asked atomic.Bool  // something was sent since the last bytes came
	until atomic.Int64 // the read deadline, nanoseconds since 1970; 0 without one
}

// Write sends half a round trip later.
func (d *distant) Write(b []byte) (int, error) {
	Sleep(context.Background(), d.half)
	d.asked.Store(true)
	return d.Conn.Write(b)
}

// Read returns the first bytes of an answer half a round trip later, and the others as they come. A deadline that passes
// meanwhile has passed.
func (d *distant) Read(b []byte) (int, error) {
	n, err := d.Conn.Read(b)
	if err == nil && d.asked.Swap(false) {
		Sleep(context.Background(), d.half)
		if until := d.until.Load(); until != 0 && time.Now().UnixNano() > until {
			return 0, os.ErrDeadlineExceeded
		}
	}
	return n, err
}

// SetDeadline sets both deadlines.
func (d *distant) SetDeadline(t time.Time) error {
	d.note(t)
	return d.Conn.SetDeadline(t)
}

// SetReadDeadline sets the deadline of Read.
func (d *distant) SetReadDeadline(t time.Time) error {
	d.note(t)
	return d.Conn.SetReadDeadline(t)
}

func (d *distant) note(t time.Time) {
	if t.IsZero() {
		d.until.Store(0)
		return
	}
	d.until.Store(t.UnixNano())
}
