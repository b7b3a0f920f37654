package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"pgguard/proxy/sock"
)

// take returns a listener on an address of the configuration: one that was handed over, else one that it binds. port is that of sockets.
func (srv *Server) take(addr, port string) (net.Listener, error) {
	network, where := "tcp", addr
	if dir, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, where = "unix", SocketPath(dir, port)
	}
	if network == "unix" {
		return TakeSocket(srv.cfg().Handed, where)
	}
	if l, err := srv.cfg().Handed.Take(network, where); l != nil || err != nil {
		return l, err
	}
	return bind(addr, port)
}

// TakeSocket returns a listener on a unix socket: one of those handed over, else one that it binds. Of what is in the way it removes nothing but a socket
// that nobody listens on. Close removes the socket, unless that is somebody else's.
func TakeSocket(h *sock.Handed, path string) (net.Listener, error) {
	l, err := h.Take("unix", path)
	switch {
	case err != nil:
		return nil, err
	case l == nil:
		return bindSocket(path)
	case h.Owns("unix", path):
		return ownSocket(l, path, h)
	}
	return l, nil
}

// SocketPort is the port in the names of unix sockets: that of the first address which has one, else 6432.
func SocketPort(listen []Listener) string {
	for _, l := range listen {
		if strings.HasPrefix(l.Addr, "unix:") {
			continue
		}
		if _, port, err := net.SplitHostPort(l.Addr); err == nil && port != "0" {
			return port
		}
	}
	return "6432"
}

// SocketPath is where clients look for the socket in a directory.
func SocketPath(dir, port string) string { return filepath.Join(dir, ".s.PGSQL."+port) }

// bind listens on an address of the configuration; port is that of sockets.
func bind(addr, port string) (net.Listener, error) {
	if dir, ok := strings.CutPrefix(addr, "unix:"); ok {
		return bindSocket(SocketPath(dir, port))
	}
	return net.Listen("tcp", addr)
}

func bindSocket(path string) (net.Listener, error) {
	release, err := lockDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer release()
	if err := clearSocket(path); err != nil {
		return nil, err
	}
	nl, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	nl.(*net.UnixListener).SetUnlinkOnClose(false) // by its name alone, which may be another's by then
	return ownSocket(nl, path, nil)
}

// ownSocket returns a listener whose Close removes its socket: once it is claimed, if it comes from somebody.
func ownSocket(nl net.Listener, path string, from *sock.Handed) (net.Listener, error) {
	l := &socketListener{Listener: nl, dir: filepath.Dir(path), path: path, from: from}
	var err error
	if l.made, err = os.Lstat(path); err != nil {
		_ = nl.Close()
		return nil, err
	}
	return l, nil
}

// clearSocket removes the socket at path that a process which was killed has left behind. Whatever else is there stays, and is an
// error: a file, or a socket that is not known to be dead.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("what is there is not a socket; it is left as it is")
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return inUse("a server already answers on this socket")
	case errors.Is(err, syscall.ECONNREFUSED): // the only answer of a socket without a listener; a busy one gives EAGAIN
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return inUse("a server may be using this socket: " + err.Error())
}

// inUse is an error that another process's end may mend.
func inUse(why string) error {
	return &net.OpError{Op: "listen", Net: "unix", Err: fmt.Errorf("%s: %w", why, syscall.EADDRINUSE)}
}

// socketListener is a bound socket. Close removes the file, unless it has become another's.
type socketListener struct {
	net.Listener
	dir, path string
	made      fs.FileInfo
	from      *sock.Handed // nil: it was bound here
	once      sync.Once    // afterwards the system may give another file the number by which this one is known
}

// Close implements net.Listener.
func (l *socketListener) Close() error {
	l.once.Do(func() {
		if l.from != nil && !l.from.Claimed() {
			return
		}
		release, err := lockDir(l.dir)
		if err != nil {
			return // the next to listen here removes it
		}
		defer release()
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
			_ = os.Remove(l.path)
		}
	})
	return l.Listener.Close()
}

// abandon closes a listener, and leaves its socket in its place: another process listens on it.
func abandon(l net.Listener) {
	if s, ok := l.(*socketListener); ok {
		s.once.Do(func() {})
	}
	_ = l.Close()
}

func abandonAll(list []net.Listener) {
	for _, l := range list {
		abandon(l)
	}
}

// socketOf is the socket of a listener, and whether it is to be removed from its place by whoever listens on it last.
func socketOf(l net.Listener) (c syscall.Conn, own bool) {
	if s, is := l.(*socketListener); is {
		l, own = s.Listener, true
	}
	c, _ = l.(syscall.Conn)
	return c, own
}
