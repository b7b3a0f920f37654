package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
)

// Handed are sockets that whoever started the process has bound and listens on for it, such as systemd: connections wait in them while no process
// is there. Not safe for concurrent use, but for Claim and Claimed. The zero value has none, and so has nil.
type Handed struct {
	sockets []*handed
	claimed atomic.Bool
}

type handed struct {
	file  *os.File
	addr  net.Addr
	taken bool
	own   bool
}

// NewHanded returns those that the files are, and owns them; what is no socket that is listened on is an error. Close closes them.
func NewHanded(files []*os.File) (*Handed, error) {
	h := &Handed{}
	var errs []error
	for _, f := range files {
		h.sockets = append(h.sockets, &handed{file: f})
		l, err := net.FileListener(f) // a copy
		if err != nil {
			errs = append(errs, fmt.Errorf("%s was handed over, and is no socket that takes connections: %w", f.Name(), err))
			continue
		}
		h.sockets[len(h.sockets)-1].addr = l.Addr()
		_ = l.Close()
	}
	if len(errs) > 0 {
		h.Close()
		return nil, errors.Join(errs...)
	}
	return h, nil
}

// Own notes that a socket is not only lent: who has taken it is to remove it from its place when it ends. i is that of its file.
func (h *Handed) Own(i int) { h.sockets[i].own = true }

// Owns is true for a socket that Own was called for.
func (h *Handed) Owns(network, addr string) bool {
	if h == nil {
		return false
	}
	for _, s := range h.sockets {
		if sameAddr(s.addr, network, addr) {
			return s.own
		}
	}
	return false
}

// Claim notes that whoever has bound the sockets does not listen on them any more: from now on those that are owned are this process's to remove.
func (h *Handed) Claim() { h.claimed.Store(true) }

// Claimed is true after Claim.
func (h *Handed) Claimed() bool { return h.claimed.Load() }

// Take returns a listener on the socket that is bound to an address, tcp and host:port or unix and a path; nil if there is none. It can be taken again
// after the listener is closed.
func (h *Handed) Take(network, addr string) (net.Listener, error) {
	if h == nil {
		return nil, nil
	}
	for _, s := range h.sockets {
		if sameAddr(s.addr, network, addr) {
			s.taken = true
			return net.FileListener(s.file)
		}
	}
	return nil, nil
}

// sameAddr is true if a socket bound to have is what who asks for network and addr would have bound. All addresses of IPv4 and those of IPv6 are the same,
// which systemd binds together.
func sameAddr(have net.Addr, network, addr string) bool {
	if network == "unix" {
		return have.Network() == "unix" && have.String() == addr
	}
	is, ok := have.(*net.TCPAddr)
	if !ok {
		return false
	}
	want, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil || want.Port != is.Port {
		return false
	}
	any := len(want.IP) == 0 || want.IP.IsUnspecified()
	return any && is.IP.IsUnspecified() || want.IP.Equal(is.IP)
}

// Left are the addresses of those that nobody has taken.
func (h *Handed) Left() []net.Addr {
	if h == nil {
		return nil
	}
	var left []net.Addr
	for _, s := range h.sockets {
		if !s.taken {
			left = append(left, s.addr)
		}
	}
	return left
}

// Close gives the sockets up; listeners that were taken stay. Connections wait in them as long as whoever has bound them keeps them.
func (h *Handed) Close() {
	if h == nil {
		return
	}
	for _, s := range h.sockets {
		_ = s.file.Close()
	}
	h.sockets = nil
}
