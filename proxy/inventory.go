package proxy

import (
	"cmp"
	"crypto/tls"
	"net"
	"slices"
	"syscall"
	"time"

	"pgguard/pool"
	"pgguard/pool/sorting"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
)

// ClientInfo is one client.
type ClientInfo struct {
	ID              uint64 // among clients and servers
	User, Database  string
	As              string // who logs in to servers for it; empty: User
	Class           string
	ApplicationName string
	State           string // as in Stats.Clients
	Replication     string // "none", "logical" or "physical"
	Conn            ConnInfo
	Since           time.Time     // when it logged in
	Asked           time.Time     // when it asked last for what it has, or waits for; zero: it has not
	Waited          time.Duration // so far, if it waits
	Server          uint64        // the ID of its server; 0: none
	Pins            string        // why it keeps that between transactions, joined by commas; empty: it does not
	Pinned          time.Time     // since when
	Prepared        int           // statements
	Leaving         bool          // it is being closed
}

// ServerInfo is one server connection.
type ServerInfo struct {
	ID             uint64
	Upstream       string // address of its instance
	User, Database string // as PostgreSQL calls them
	State          pool.State
	Since          time.Time // when it came into its state
	Began          time.Time // when its login began
	Retired        string    // why it is not lent again; empty: it may be
	PID            uint32
	Conn           ConnInfo
	Client         uint64 // the ID of its client; 0: none
	ClientDatabase string // what that calls the database
	Prepared       int    // statements of the guard's in it
	Cancels        bool   // a cancel request is on its way to it
}

// ConnInfo is where a connection leads.
type ConnInfo struct {
	Local, Remote net.Addr // nil: there is none yet
	TLS           string   // version and cipher; empty: none
	FD            int      // -1: none
}

// connInfo is that of a connection, which may be over TLS.
func connInfo(nc net.Conn) ConnInfo {
	if nc == nil {
		return ConnInfo{FD: -1}
	}
	info := ConnInfo{Local: nc.LocalAddr(), Remote: nc.RemoteAddr(), FD: fdOf(sock.Socket(nc))}
	if c, ok := nc.(*tls.Conn); ok {
		st := c.ConnectionState()
		info.TLS = tls.VersionName(st.Version) + "/" + tls.CipherSuiteName(st.CipherSuite)
	}
	return info
}

// fdOf is the file descriptor of a socket.
func fdOf(c any) int {
	fd := -1
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(n uintptr) { fd = int(n) }) // it is closed: -1
		}
	}
	return fd
}

// ClientList is everybody who has logged in, in the order of their logins. It takes each session's lock for a moment.
func (srv *Server) ClientList() []ClientInfo {
	now := time.Now()
	var list []ClientInfo
	for _, s := range srv.all() {
		list = append(list, s.info(now))
	}
	sorting.By(list, func(a, b ClientInfo) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// info is what is known of a session.
func (s *session) info(now time.Time) ClientInfo {
	c := ClientInfo{
		ID: s.id, Database: s.route.database, ApplicationName: s.called.Value(), Since: s.since, Conn: connInfo(s.conn.Conn), Replication: "none",
	}
	if s.walsender != nil {
		c.Replication = s.walsender.kind
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.User, c.As = s.user, s.route.key.User
	c.Class = s.srv.cfg().Pool.Classes[s.class].Name
	c.Leaving = s.close != nil
	c.Prepared = s.client.Statements()
	if name := s.client.Name(); name != "" {
		c.ApplicationName = name
	}
	quiet := false
	if l := s.link; l != nil {
		quiet = l.lease.Quiet() || l.b.waits.Load()
		c.Server, c.Asked = l.b.id, l.started
		if p := l.lease.Pins(); p != 0 && !l.pinned.IsZero() {
			c.Pins, c.Pinned = p.String(), l.pinned
		}
	}
	c.State = s.state.label(s.local, quiet)
	if c.State == "waiting" {
		c.Asked = s.offered
		c.Waited = now.Sub(s.offered)
	}
	return c
}

// ServerList is every server connection, in no order. It takes the lock of each pool, and of each session that has a server, for a moment.
func (srv *Server) ServerList() []ServerInfo {
	var list []ServerInfo
	for _, in := range srv.allInstances() {
		for _, v := range in.Pool.Views() {
			list = append(list, serverInfo(in, v))
		}
	}
	sorting.By(list, func(a, b ServerInfo) int { return cmp.Or(cmp.Compare(a.ID, b.ID), a.Began.Compare(b.Began)) })
	return list
}

func serverInfo(in *instance.Instance, v pool.View) ServerInfo {
	info := ServerInfo{
		Upstream: in.Name(), User: v.Key.User, Database: v.Key.Database, State: v.State, Since: v.Since, Began: v.Began, Retired: v.Retired, Conn: ConnInfo{FD: -1},
	}
	b, ok := v.Conn.(*backend)
	if !ok {
		return info
	}
	info.ID, info.PID, info.Conn, info.Cancels = b.id, b.pid, connInfo(b.conn.Conn), b.cancels.flying.Load() > 0
	l := b.link.Load()
	if l == nil || l == &nobody {
		return info
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.link.Load() != l {
		return info
	}
	info.Prepared = b.session.Prepared()
	if l.s != nil {
		info.Client, info.ClientDatabase = l.s.id, l.s.route.database
	}
	return info
}

// ListenerInfo is one address that clients connect to.
type ListenerInfo struct {
	Addr net.Addr
	FD   int
}

// Listeners are the bound addresses.
func (srv *Server) Listeners() []ListenerInfo {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	var list []ListenerInfo
	for _, l := range srv.listeners {
		list = append(list, ListenerInfo{l.socket.Addr(), fdOf(l.socket)})
	}
	return list
}

// UserNames are the users that the configuration names, and those who are connected, sorted.
func (srv *Server) UserNames() []string {
	seen := map[string]bool{}
	for _, name := range srv.users.Load().names() {
		seen[name] = true
	}
	for name := range srv.cfg().Users {
		seen[name] = true
	}
	for _, list := range [][]string{srv.cfg().Admin.Users, srv.cfg().Admin.StatsUsers} {
		for _, name := range list {
			seen[name] = true
		}
	}
	for _, s := range srv.all() {
		s.mu.Lock()
		seen[s.route.key.User] = true
		s.mu.Unlock()
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Logins is how many clients are logging in.
func (srv *Server) Logins() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.lobby.guests)
}

// Config is what the server was told.
func (srv *Server) Config() Config { return *srv.cfg() }

// PoolUser is the name by which its servers are logged in to.
func (c *ClientInfo) PoolUser() string { return cmp.Or(c.As, c.User) }
