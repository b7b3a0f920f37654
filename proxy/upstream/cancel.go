package upstream

import (
	"context"
	"errors"
	"io"
	"time"

	"pgguard/proxy/wire"
)

// cancelWait bounds one delivery; PostgreSQL answers by closing the connection.
const cancelWait = 5 * time.Second

// errNoKey is why a server cannot be told to cancel: it gave no key when it was logged in to.
var errNoKey = errors.New("server has given no cancel key")

// Cancel sends one cancel request for a server, by what its login said, to where that was, and waits until that connection is closed: then
// the signal is sent. It does not keep secret.
func (d *Door) Cancel(at At, pid uint32, secret []byte) error {
	if len(secret) == 0 {
		return errNoKey
	}
	ctx, stop := context.WithTimeout(context.Background(), cancelWait)
	defer stop()
	nc, err := d.dial(ctx, at)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	w := plain
	if at.secured {
		w = encrypted
	}
	if nc, err = d.secure(ctx, nc, at.place, w, new(shown)); err != nil {
		return err
	}
	if _, err := nc.Write(wire.AppendCancel(nil, pid, secret)); err != nil {
		return err
	}
	if _, err = io.Copy(io.Discard, nc); errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // PostgreSQL does not say goodbye in the words of TLS
	}
	return err
}
