package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// Door is the way into one PostgreSQL instance: where it is, which version of the protocol it takes, and the passwords
// of its users. Any goroutine may use it.
type Door struct {
	Upstream Upstream // the first that named the instance
	// KeepAlive is how a server's machine is found to be gone while nothing is under way to it. The zero value leaves that to the system. It
	// is set before the Door is used.
	KeepAlive net.KeepAliveConfig
	// Secure makes a socket the client's side of TLS; nil: crypto/tls does. It is set before the Door is used.
	Secure func(net.Conn, *tls.Config) *tls.Conn
	// Source has the password of the upstream's own user, if nothing else has; nil: nothing does. It is set before the Door is used.
	Source *auth.Source

	protocol  atomic.Uint32 // the version to ask for: a server has taken it; 0: not known yet
	encrypted atomic.Bool   // the last login was over TLS

	Memory auth.Memory // what clients' logins have told of their users

	mu      sync.Mutex
	secrets map[string]string // guarded by mu: passwords by user, from every upstream that names this instance
}

// NewDoor returns the way into the instance that up names.
func NewDoor(up Upstream) *Door { return &Door{Upstream: up, secrets: map[string]string{}} }

// Learn learns the password of an upstream that names this instance.
func (d *Door) Learn(up Upstream) {
	if up.Password == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secrets[up.User] = up.Password
}

// Password finds the password for a login: the one an upstream gives for its user, else the password file's.
func (d *Door) Password(database, user string) string {
	d.mu.Lock()
	secret := d.secrets[user]
	d.mu.Unlock()
	if secret != "" {
		return secret
	}
	return auth.FromPassfile(d.Upstream.Passfile, d.Upstream.Host, strconv.Itoa(d.Upstream.Port), database, user)
}

// Address is host:port, or the path of the socket.
func (u Upstream) Address() string {
	switch {
	case u.local():
		return u.Host + "/.s.PGSQL." + strconv.Itoa(u.Port)
	case u.HostAddr != "":
		return net.JoinHostPort(u.HostAddr, strconv.Itoa(u.Port))
	}
	return net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
}

// local is true for a unix socket: as libpq has it a path, or an @ and a name that no directory has.
func (u Upstream) local() bool {
	return strings.HasPrefix(u.Host, "/") || strings.HasPrefix(u.Host, "@")
}

// dial opens a socket to the instance, with the context's deadline.
func (d *Door) dial(ctx context.Context) (net.Conn, error) {
	network := "tcp"
	if d.Upstream.local() {
		network = "unix"
	}
	nc, err := d.Upstream.Socket.dialer(d.KeepAlive).DialContext(ctx, network, d.Upstream.Address())
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = nc.SetDeadline(deadline)
	return nc, nil
}

// Version is the version of the protocol that servers are asked for; 0: none has taken one yet.
func (d *Door) Version() uint32 { return d.protocol.Load() }

// LogIn opens a socket and logs in over it, in the newest version of the protocol that the server takes, until ctx ends.
// PostgreSQL answers a version that it does not know with the one it does; what only looks like it may refuse, or just
// close, and is then asked for 3.0. On success h.Conn is the caller's.
func (d *Door) LogIn(ctx context.Context, h *Handshake) error {
	h.Known = d.Memory.Of(h.User)
	if d.Source == nil || h.Password != "" || h.User != d.Upstream.User {
		return d.enter(ctx, h)
	}
	for {
		password, fresh, err := d.Source.Password(ctx)
		if err != nil {
			return err
		}
		h.Password = password
		if err = d.enter(ctx, h); fresh || !ForPassword(err) {
			return err
		}
		d.Source.Forget(password) // it was good for a while only
	}
}

// enter is LogIn with the password that h has.
func (d *Door) enter(ctx context.Context, h *Handshake) (err error) {
	ways := d.Upstream.ways()
	for i, w := range ways {
		if err = d.logIn(ctx, h, w); err == nil {
			d.encrypted.Store(h.Secured())
			return nil
		}
		if i+1 < len(ways) && !mayTryOther(err, h) {
			break
		}
	}
	return err
}

// logIn is LogIn in one way.
func (d *Door) logIn(ctx context.Context, h *Handshake, w way) error {
	version := d.Version()
	known := version != 0
	if !known {
		version = d.Upstream.Protocol.most()
	}
	h.least = protocols[d.Upstream.Protocol.Min]
	err := d.attempt(ctx, h, w, version)
	if version > max(wire.Version30, h.least) && h.rejectsVersion(err, known) {
		version = wire.Version30
		err = d.attempt(ctx, h, w, version)
	}
	if h.accepted {
		d.protocol.Store(version)
	}
	switch {
	case errors.Is(err, auth.ErrNoPassword):
		return errNoPassword
	case errors.Is(err, errKeysOnly):
		return errNoDigest
	case errors.Is(err, auth.ErrStale):
		return errStale
	}
	return err
}

// attempt is one try of LogIn.
func (d *Door) attempt(ctx context.Context, h *Handshake, w way, version uint32) error {
	h.Conn, h.answered, h.cert = nil, false, shown{}
	nc, err := d.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	socket := nc
	halt := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
	if nc, err = d.secure(ctx, socket, w, &h.cert); err == nil {
		h.security = d.Upstream.TLS
		err = h.run(nc, version)
	} else {
		nc = socket
	}
	if !halt() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return err
	}
	_ = nc.SetDeadline(time.Time{})
	return nil
}
