package console

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"pgguard/proxy"
)

var (
	socketColumns = slices.Concat(
		columns(text, "type", "user", "database", "replication", "state", "addr"), columns(int4, "port"), columns(text, "local_addr"), columns(int4, "local_port"),
		columns(text, "connect_time", "request_time"), columns(int4, "wait", "wait_us", "close_needed"), columns(text, "ptr", "link"), columns(int4, "remote_pid"),
		columns(text, "tls", "application_name"), columns(int4, "prepared_statements", "id"),
	)
	bufferColumns = slices.Concat(socketColumns, columns(int4, "recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain", "pkt_avail", "send_avail"))
)

// showClients shows who has logged in, operators last.
func showClients(s *session) []row { return s.clients("") }

func (s *session) clients(prefix string) []row {
	port := portOf(s.guard)
	var rows []row
	for _, c := range s.guard.ClientList() {
		state := "idle"
		switch {
		case c.State == "waiting":
			state = "waiting"
		case c.Server != 0 || c.Replication != "none":
			state = "active"
		}
		rows = append(rows, socket{
			kind: "C", user: c.User, database: c.Database, replication: c.Replication, state: prefix + state, conn: c.Conn, since: c.Since, asked: c.Asked,
			waited: c.Waited, closes: c.Leaving, id: c.ID, link: c.Server, name: c.ApplicationName, prepared: c.Prepared,
		}.row(port))
	}
	for _, o := range s.guard.Operators() {
		state := "idle"
		if prefix != "" {
			state = "active" // PgBouncer's word for its console's clients among sockets
		}
		k := socket{kind: "C", user: o.User, database: adminName, replication: "none", state: prefix + state, since: o.Since, id: o.ID, name: o.ApplicationName}
		k.conn = proxy.ConnInfo{Local: o.Conn.LocalAddr(), Remote: o.Conn.RemoteAddr()}
		rows = append(rows, k.row(port))
	}
	return rows
}

func showServers(s *session) []row { return s.servers("") }

func (s *session) servers(prefix string) []row {
	port := portOf(s.guard)
	databases, names := s.guard.Databases(), map[uint64]string{}
	for _, c := range s.guard.ClientList() {
		names[c.ID] = c.ApplicationName
	}
	var rows []row
	for _, v := range s.guard.ServerList() {
		k := socket{
			kind: "S", user: v.User, database: nameOf(v, databases), replication: "none", state: prefix + serverState(v), conn: v.Conn, since: v.Began, asked: v.Since,
			closes: v.Retired != "", id: v.ID, link: v.Client, pid: int(v.PID), name: names[v.Client], prepared: v.Prepared,
		}
		rows = append(rows, k.row(port))
	}
	return rows
}

// showSockets shows all of them. Of buffers there is nothing to show: a connection borrows one only while it deals with bytes.
func showSockets(s *session) []row {
	rows := append(s.clients("cl_"), s.servers("sv_")...)
	for i := range rows {
		rows[i] = append(rows[i], 0, 0, 0, 0, 0, 0, 0)
	}
	return rows
}

// socket is a row of socketColumns.
type socket struct {
	kind, user, database, replication, state string
	conn                                     proxy.ConnInfo
	since, asked                             time.Time
	waited                                   time.Duration
	closes                                   bool
	id, link                                 uint64
	pid                                      int
	name                                     string
	prepared                                 int
}

// row is it; port is that of clients on unix sockets.
func (k socket) row(port int) row {
	asked := k.asked
	if asked.IsZero() {
		asked = k.since
	}
	remote, remotePort := address(k.conn.Remote, port)
	local, localPort := address(k.conn.Local, port)
	return row{
		k.kind, k.user, k.database, k.replication, k.state, remote, remotePort, local, localPort, moment(k.since), moment(asked),
		int(k.waited / time.Second), int(k.waited % time.Second / time.Microsecond), bit(k.closes), pointer(k.id), pointer(k.link), k.pid,
		strings.ReplaceAll(k.conn.TLS, "TLS 1.", "TLSv1."), k.name, k.prepared, k.id,
	}
}

// address is that of one end of a connection, in two columns.
func address(a net.Addr, port int) (host string, n int) {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.String(), a.Port
	case *net.UnixAddr:
		return "unix", port
	}
	return "", 0
}

// portOf is the port of the first TCP listener, 6432 if there is none.
func portOf(g Guard) int {
	for _, l := range g.Listeners() {
		if a, ok := l.Addr.(*net.TCPAddr); ok {
			return a.Port
		}
	}
	return 6432
}

// pointer stands for the address in memory that PgBouncer shows, by which a client and its server can be found in each other's rows.
func pointer(id uint64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("0x%x", id)
}

var fdColumns = slices.Concat(columns(int4, "fd"), columns(text, "task", "user", "database", "addr"), columns(int4, "port"), columns(int8, "cancel"), columns(int4, "link"),
	columns(text, "client_encoding", "std_strings", "datestyle", "timezone", "password"), columns(bytea, "scram_client_key", "scram_server_key"))

// showFDs shows the file descriptors of sockets. Passwords and keys stand in PgBouncer's for the sake of a program that takes them over.
func showFDs(s *session) []row {
	port := portOf(s.guard)
	var rows []row
	add := func(fd int, task, user, database string, a net.Addr, link int) {
		if fd < 0 {
			return
		}
		host, n := address(a, port)
		rows = append(rows, row{fd, task, user, database, host, n, 0, link, nil, nil, nil, nil, nil, nil, nil})
	}
	for _, l := range s.guard.Listeners() {
		add(l.FD, "pooler", "", "", l.Addr, 0)
	}
	fds := map[uint64]int{}
	servers := s.guard.ServerList()
	for _, v := range servers {
		fds[v.ID] = v.Conn.FD
	}
	for _, c := range s.guard.ClientList() {
		add(c.Conn.FD, "client", c.User, c.Database, c.Conn.Remote, max(0, fds[c.Server]))
	}
	databases := s.guard.Databases()
	for _, v := range servers {
		add(v.Conn.FD, "server", v.User, nameOf(v, databases), v.Conn.Remote, 0)
	}
	return rows
}
