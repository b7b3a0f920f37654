package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// At is where a server is: one address of one of the upstream's hosts. The zero value is nowhere.
type At struct {
	place            Place
	network, address string
	secured          bool // it was logged in to over TLS
}

// String is the address, as ip:port or the path of a socket; empty: nowhere.
func (a At) String() string { return a.address }

// Current is where servers are logged in to first: where the login that chose last has found what the upstream asks for.
func (d *Door) Current() At {
	if at := d.current.Load(); at != nil {
		return *at
	}
	return At{}
}

// Moved is true if the name of the current host does not mean its address any more. It asks for the name until ctx ends.
func (d *Door) Moved(ctx context.Context) bool {
	at := d.Current()
	p := at.place
	if at == (At{}) || p.local() || p.HostAddr != "" || net.ParseIP(p.Host) != nil {
		return false
	}
	list, err := d.resolve(ctx, p)
	if err != nil {
		return false
	}
	for _, other := range list {
		if other.address == at.address {
			return false
		}
	}
	return true
}

// resolve are the addresses of a place: the current one first, if it is one of them, then as the resolver has them.
func (d *Door) resolve(ctx context.Context, p Place) (list []At, err error) {
	if p.local() {
		return []At{{place: p, network: "unix", address: p.String()}}, nil
	}
	if p.HostAddr != "" || net.ParseIP(p.Host) != nil {
		return []At{{place: p, network: "tcp", address: p.String()}}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", p.Host)
	if err != nil {
		return nil, err
	}
	if d.Upstream.Shuffle {
		rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	}
	current := d.Current()
	for _, ip := range found {
		at := At{place: p, network: "tcp", address: net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(p.Port))}
		if len(list) > 0 && p == current.place && at.address == current.address {
			list = append([]At{at}, list...)
			continue
		}
		list = append(list, at)
	}
	return list[:min(len(list), maxPlaces)], nil
}

// ahead are the addresses to try, one after the other; an error is of a host whose name cannot be resolved. Who chooses tries the hosts in their
// order; others begin where the current one is.
func (d *Door) ahead(ctx context.Context, h *Handshake) iter.Seq2[At, error] {
	return func(yield func(At, error) bool) {
		places := d.places
		if current := d.Current(); !h.Chooses && current != (At{}) {
			places = []Place{current.place}
			for _, p := range d.places {
				if p != current.place {
					places = append(places, p)
				}
			}
		}
		for _, p := range places {
			bound, stop := context.WithTimeout(ctx, d.patience(h))
			list, err := d.resolve(bound, p)
			stop()
			if err != nil && !yield(At{place: p}, fmt.Errorf("connect: %w", err)) {
				return
			}
			for _, at := range list {
				if !yield(at, nil) {
					return
				}
			}
		}
	}
}

// goesOn is true if another host may serve after a login that has failed with err: as in libpq that is where this one cannot be reached, cannot
// serve now, or is not what is asked for; not where it refuses the login, or TLS with it fails.
func goesOn(err error) bool {
	var se *Error
	var te *tlsError
	var ne net.Error
	var unfit *unfitError
	switch {
	case errors.As(err, &ne) && ne.Timeout():
		return true
	case errors.As(err, &te):
		return false
	case errors.As(err, &se):
		return se.Code == "57P03"
	case errors.As(err, &ne), errors.As(err, &unfit):
		return true
	}
	var no syscall.Errno
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &no)
}

// HostsError is why a login has failed at each of several addresses.
type HostsError []HostError

// HostError is why it has failed at one.
type HostError struct {
	Host string // as the upstream has it, and the address where that is another
	Err  error
}

// Error names them all.
func (e HostsError) Error() string {
	var list []string
	for _, one := range e {
		list = append(list, one.Host+": "+one.Err.Error())
	}
	return strings.Join(list, "; ")
}

// Unwrap returns them, the last one first: after it no other was tried.
func (e HostsError) Unwrap() (list []error) {
	for _, one := range slices.Backward(e) {
		list = append(list, one.Err)
	}
	return list
}

// add notes why a login has failed at an address.
func (e HostsError) add(at At, err error) HostsError {
	name := at.place.String()
	if at.address != "" && at.address != name {
		name += " (" + at.address + ")"
	}
	return append(e, HostError{name, err})
}

// orOne is the error alone if there is only one.
func (e HostsError) orOne() error {
	if len(e) == 1 {
		return e[0].Err
	}
	return e
}
