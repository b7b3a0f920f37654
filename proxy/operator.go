package proxy

import (
	"net"
	"os"
	"slices"
	"time"

	"pgguard/proxy/auth"
)

// Consoles are the databases by which operators reach the console: the guard's own name, and PgBouncer's, which its tools ask for.
var Consoles = []string{"pgguard", "pgbouncer"}

// IsConsole is true for the names of the console, which is no database.
func IsConsole(name string) bool { return slices.Contains(Consoles, name) }

// MaxOperators is how many operators may be in the console at once, beside the clients that max_clients allows: a few people and exporters. More are
// refused, whatever they are up to, so that the file descriptors and the processor are the clients'.
const MaxOperators = 32

// maxLookers is how many of them may be such that only look: programs, mostly, which may leave connections behind. Who must see to it that there is room again comes in.
const maxLookers = MaxOperators - MaxOperators/4

// Admin says who may come to the console, and who among them may change something.
type Admin struct {
	// Users may look and change, StatsUsers may look. They prove who they are as Auth says.
	Users, StatsUsers []string
}

// Operator is somebody who has logged in to the console.
type Operator struct {
	Conn            net.Conn // the console's until Serve returns; AuthenticationOk has been sent
	ID              uint64   // among clients and servers
	User, Database  string
	ApplicationName string
	TLS             bool
	Changes         bool // may change what the guard does; else only look
	Since           time.Time

	// Canceled is sent to when the operator cancels what is under way: what comes late is about what came before.
	Canceled chan struct{}

	// PID and Secret are what the operator proves with that he may.
	PID    uint32
	Secret []byte

	leave func() // ends its connection
}

// cancel implements canceled.
func (o *Operator) cancel() string {
	select {
	case o.Canceled <- struct{}{}:
		return "sent"
	default:
		return "idle"
	}
}

// ownNames are the users as whom whoever runs the guard comes in by a unix socket.
var ownNames = Consoles

// logOperatorIn lets somebody in to the console. It takes nothing from the pool, asks no database, and is not one of the clients.
func (srv *Server) logOperatorIn(nc, socket net.Conn, h *hello) (run func(*session), err error) {
	if h.replicates {
		return nil, &Refusal{Reason: ReasonUnsupported, Message: "guard: there is no replication from the console"}
	}
	o := &Operator{Conn: nc, User: h.user, Database: h.database, ApplicationName: h.applicationName, TLS: h.cover.tls, Since: time.Now(), ID: srv.ids.Add(1), Canceled: make(chan struct{}, 1)}
	if o.Changes = srv.isOwner(socket, h.user); !o.Changes {
		if err := srv.authenticate(nc, socket, h); err != nil {
			return nil, err
		}
		o.Changes = slices.Contains(srv.cfg().Admin.Users, h.user)
		if !o.Changes && !slices.Contains(srv.cfg().Admin.StatsUsers, h.user) {
			return nil, &Refusal{Reason: ReasonConsole, Message: "not allowed"}
		}
	}
	if err := srv.seat(o, socket); err != nil {
		return nil, err
	}
	key := srv.keys.add(o, h.keySize())
	o.PID, o.Secret = key.pid, key.secret
	if _, err := nc.Write(h.appendAccepted(nil)); err != nil {
		srv.unseat(o)
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	return func(*session) { srv.serveOperator(o) }, nil
}

// isOwner is true for whoever runs the guard, by a unix socket and under one of its own names: he could read its configuration and end it.
func (srv *Server) isOwner(socket net.Conn, user string) bool {
	if socket.LocalAddr().Network() != "unix" || !slices.Contains(ownNames, user) {
		return false
	}
	uid, err := auth.PeerUID(socket)
	return err == nil && uid == os.Geteuid()
}

// head is what the operator is counted as: both names of the console are one.
func (o *Operator) head() head { return head{Consoles[0], o.User} }

// seat counts an operator, who leaves the lobby. The error is the answer to one that is too many.
func (srv *Server) seat(o *Operator, socket net.Conn) error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if err := srv.seatsLocked(o.Changes, o.head()); err != nil {
		return err
	}
	srv.heads.add(o.head(), 1)
	o.leave = func() { _ = socket.Close() }
	srv.operators[o] = struct{}{}
	if g := srv.lobby.guests[socket]; g != nil {
		srv.lobby.counted(g, time.Now())
	}
	srv.leaveLobbyLocked(socket)
	return nil
}

// seatsLocked is nil if one more operator may be in the console, who changes something or only looks; else the answer. Bounds on clients are none on operators, but in PgBouncer's place:
// there they are, on who only looks.
func (srv *Server) seatsLocked(changes bool, h head) error {
	lookers := 0
	for o := range srv.operators {
		if !o.Changes {
			lookers++
		}
	}
	switch {
	case len(srv.operators) >= MaxOperators, !changes && lookers >= maxLookers:
		return &Refusal{Reason: ReasonClients, Message: "guard: as many operators are in the console as may be"}
	case !changes && srv.cfg().LikePgBouncer:
		return srv.roomLocked(h.database, h.user)
	}
	return nil
}

func (srv *Server) unseat(o *Operator) {
	srv.keys.remove(cancelKey{o.PID, o.Secret})
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if _, in := srv.operators[o]; in {
		delete(srv.operators, o)
		srv.heads.add(o.head(), -1)
	}
}

// serveOperator is the goroutine of an operator. A bug in the console ends it alone.
func (srv *Server) serveOperator(o *Operator) {
	defer srv.sessions.Done()
	defer func() {
		if v := recover(); v != nil {
			srv.bug("console", v)
		}
		srv.unseat(o)
		_ = o.Conn.Close()
		srv.log.Info("operator gone", "client", remote(o.Conn), "user", o.User, "seconds", int(time.Since(o.Since).Seconds()))
	}()
	srv.log.Info("operator in the console", "client", remote(o.Conn), "user", o.User, "changes", o.Changes)
	if srv.ctx.Err() == nil { // else Close has sent the others away already
		srv.cfg().Console(srv, o)
	}
}

// Operators are those in the console now.
func (srv *Server) Operators() []*Operator {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	list := make([]*Operator, 0, len(srv.operators))
	for o := range srv.operators {
		list = append(list, o)
	}
	return list
}

// sendOperatorsOff ends all consoles.
func (srv *Server) sendOperatorsOff() {
	for _, o := range srv.Operators() {
		o.leave()
	}
}
