package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
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
	// Users are those whose secrets are known. A password counts, as it may be another by now than a login has told; a digest where no login has
	// told more. nil: there are none. It is set before the Door is used.
	Users func(name string) auth.Known

	protocol atomic.Uint32      // the version to ask for: a server has taken it; 0: not known yet
	places   []Place            // in the order in which they are tried
	current  atomic.Pointer[At] // see Current

	Memory *auth.Memory // what clients' logins have told of their users

	mu      sync.Mutex
	secrets map[string]string // guarded by mu: passwords by user, from every upstream that names this instance
}

// NewDoor returns the way into the instance that up names. With load_balance_hosts=random its hosts are in an order of its own.
func NewDoor(up Upstream) *Door {
	d := &Door{Upstream: up, secrets: map[string]string{}, places: up.Places(), Memory: new(auth.Memory)}
	if up.Shuffle {
		rand.Shuffle(len(d.places), func(i, j int) { d.places[i], d.places[j] = d.places[j], d.places[i] })
	}
	return d
}

// Renew returns the way in by another upstream in the place of d's. It knows what clients have told d, and of passwords only those that it learns. d stays
// as it is, for who is on it.
func (d *Door) Renew(up Upstream) *Door {
	n := NewDoor(up)
	n.Memory = d.Memory
	if up.Identity() == d.Upstream.Identity() {
		n.protocol.Store(d.protocol.Load())
		n.current.Store(d.current.Load())
	}
	return n
}

// Learn learns the password of an upstream that names this instance.
func (d *Door) Learn(up Upstream) {
	if up.Password == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secrets[up.User] = up.Password
}

// Password finds the password that an upstream gives for its user. Where it is empty LogIn looks into the password file.
func (d *Door) Password(user string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.secrets[user]
}

// filed is what the password file has of a user at a place; empty: nothing.
func (d *Door) filed(p Place, h *Handshake) string {
	return auth.FromPassfile(d.Upstream.Passfile, p.Host, strconv.Itoa(p.Port), h.Params["database"], h.User)
}

// isFiled is true if the password file has a password of the user at one of the places.
func (d *Door) isFiled(h *Handshake) bool {
	return slices.ContainsFunc(d.places, func(p Place) bool { return d.filed(p, h) != "" })
}

// dial opens a socket to an address, with the context's deadline.
func (d *Door) dial(ctx context.Context, at At) (net.Conn, error) {
	nc, err := d.Upstream.Socket.dialer(d.KeepAlive).DialContext(ctx, at.network, at.address)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = nc.SetDeadline(deadline)
	return nc, nil
}

// Version is the version of the protocol that servers are asked for; 0: none has taken one yet.
func (d *Door) Version() uint32 { return d.protocol.Load() }

// LogIn opens a socket and logs in over it, in the newest version of the protocol that the server takes, until ctx ends. Each address is given
// the connect_timeout, or h.Patience, and then the next one's turn comes. PostgreSQL answers a version that it does not know with the one it does; what only looks like it may refuse, or just
// close, and is then asked for 3.0. On success h.Conn is the caller's.
func (d *Door) LogIn(ctx context.Context, h *Handshake) error {
	h.Known = d.known(h.User)
	if d.Source == nil || h.Password != "" || h.User != d.Upstream.User || d.isFiled(h) {
		return d.enter(ctx, h)
	}
	for {
		bound, stop := context.WithTimeout(ctx, d.patience(h))
		password, fresh, err := d.Source.Password(bound)
		stop()
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

// known is what is known of a user.
func (d *Door) known(user string) (k auth.Known) {
	if d.Users != nil {
		k = d.Users(user)
	}
	if told := d.Memory.Of(user); k.Password() == "" && !told.Nothing() {
		return told
	}
	return k
}

// enter is LogIn with the password that h has, or that the password file has of it at each place.
func (d *Door) enter(ctx context.Context, h *Handshake) error {
	given := h.Password
	defer func() { h.Password = given }()
	var tried HostsError
	for _, kind := range d.wants(h) {
		tried = nil
		for at, err := range d.ahead(ctx, h) {
			h.Password = given
			if given == "" {
				h.Password = d.filed(at.place, h)
			}
			if err == nil {
				err = d.enterAt(ctx, h, at, kind)
			}
			if err == nil {
				return nil
			}
			tried = tried.add(at, err)
			if !goesOn(err) || ctx.Err() != nil {
				return tried.orOne()
			}
		}
	}
	return tried.orOne()
}

// patience is how long one address is given.
func (d *Door) patience(h *Handshake) time.Duration {
	most := cmp.Or(d.Upstream.ConnectTimeout, defaultConnectTimeout)
	if h.Patience > 0 {
		return min(h.Patience, most)
	}
	return most
}

// enterAt is LogIn at one address, to a server of a kind.
func (d *Door) enterAt(ctx context.Context, h *Handshake, at At, kind string) (err error) {
	ctx, stop := context.WithTimeout(ctx, d.patience(h))
	defer stop()
	h.At, h.kind = at, kind
	ways := d.Upstream.TLS.ways(at.place)
	for i, w := range ways {
		if err = andBefore(err, d.logIn(ctx, h, w), w); err == nil {
			h.At.secured = h.Secured()
			if h.Chooses {
				chosen := h.At
				d.current.Store(&chosen)
			}
			return nil
		}
		if i+1 < len(ways) && !mayTryOther(err, h) {
			break
		}
	}
	return err
}

// bareError is why a login has failed twice: over TLS, and then without, where the server refuses whoever comes so.
type bareError struct{ over, bare error }

func (e *bareError) Error() string { return e.over.Error() + "; without TLS: " + e.bare.Error() }

// Unwrap returns both, first what counts: without TLS it was not even asked for a password.
func (e *bareError) Unwrap() []error { return []error{e.over, e.bare} }

// andBefore is why a login has failed that was tried in another way before, nil if it has not.
func andBefore(before, err error, w way) error {
	var se *Error
	if before != nil && w == plain && errors.As(err, &se) && se.Code == "28000" {
		return &bareError{before, err}
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
		if fault := auth.PassfileFault(d.Upstream.Passfile); fault != nil {
			return fmt.Errorf("%w (%w)", errNoPassword, fault)
		}
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
	nc, err := d.dial(ctx, h.At)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	socket := nc
	h.At.address = nc.RemoteAddr().String()
	halt := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
	if nc, err = d.secure(ctx, socket, h.At.place, w, &h.cert); err == nil {
		h.security = d.Upstream.TLS
		if err = h.run(nc, version); err == nil {
			err = h.fit(h.kind)
		}
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
