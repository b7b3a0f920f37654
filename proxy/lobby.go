package proxy

import (
	"net"
	"time"
)

// The lobby is where connections are from the moment they are accepted until they are logged in. Who has said nothing
// in it must not take the file descriptors of those who have: they have a number of their own, and when that is used up the one
// that has been silent longest goes for each that comes.

const (
	// MaxSilent is the most connections in the lobby that have not been counted among the clients yet. A thousand is more than any
	// fleet of applications opens in the milliseconds that a start-up packet takes.
	MaxSilent = 1000
	// fewestSilent is kept in the lobby, whatever else is open: who is one too many must be told so.
	fewestSilent = 16
	// leastPatience is how long a connection may be silent at least: the packet of a client that is in earnest comes with its connection, or,
	// after it was told that there is no encryption, one way to and fro later.
	leastPatience = 50 * time.Millisecond
	// crowdedEvery spaces the log lines about connections that were closed for others.
	crowdedEvery = 10 * time.Second
)

// guest is a connection in the lobby that has not said what it wants.
type guest struct {
	nc    net.Conn
	since time.Time
}

// lobbyRoomLocked is how many connections may be in the lobby that are not counted among the clients.
func (srv *Server) lobbyRoomLocked() int {
	if srv.cfg.Files == 0 {
		return MaxSilent
	}
	// An eighth, so that the lobby of a small process leaves it clients.
	free := srv.cfg.Files - len(srv.entered) - srv.admitted
	return max(fewestSilent, min(MaxSilent, srv.cfg.Files/8, free))
}

// arrive lets a connection into the lobby, waiting for room if it must: those behind it wait in the kernel meanwhile. It is false
// if the Server closes before.
func (srv *Server) arrive(nc net.Conn) bool {
	for {
		out, wait := srv.enterLobby(nc, time.Now())
		if out != nil {
			_ = out.Close()
			srv.tellCrowded(time.Now())
		}
		if wait == 0 {
			return true
		}
		select {
		case <-time.After(wait):
		case <-srv.ctx.Done():
			return false
		}
	}
}

// enterLobby lets a connection in, if it must in the place of the one that has been silent longest, which is for the caller to close; or it
// returns how long to wait.
func (srv *Server) enterLobby(nc net.Conn, now time.Time) (out net.Conn, wait time.Duration) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if len(srv.entering)-srv.admitted >= srv.lobbyRoomLocked() {
		oldest := srv.silent.Front()
		if oldest == nil {
			return nil, leastPatience // all have spoken, and wait for their turn
		}
		g := oldest.Value.(guest)
		if age := now.Sub(g.since); age < leastPatience {
			return nil, leastPatience - age
		}
		out = g.nc
		srv.leaveLobbyLocked(out)
	}
	srv.entering[nc] = srv.silent.PushBack(guest{nc, now})
	return out, 0
}

// tellCrowded counts, and logs now and then, that a connection was closed for another.
func (srv *Server) tellCrowded(now time.Time) {
	srv.mu.Lock()
	srv.crowded++
	n, room := srv.crowded, srv.lobbyRoomLocked()
	quiet := now.Sub(srv.crowdedAt) < crowdedEvery
	if !quiet {
		srv.crowded, srv.crowdedAt = 0, now
	}
	srv.mu.Unlock()
	if !quiet {
		srv.log.Warn("connections that say nothing are closed for others", "closed", n, "room", room, "patience", leastPatience)
	}
}

// spoke notes that a connection has said what it wants; false: it was closed for another.
func (srv *Server) spoke(nc net.Conn) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	e, ok := srv.entering[nc]
	if e != nil {
		srv.silent.Remove(e)
		srv.entering[nc] = nil
	}
	return ok
}

// hushed notes that a connection which has spoken must speak again, and may be closed for another until it does.
func (srv *Server) hushed(nc net.Conn) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if e, ok := srv.entering[nc]; ok && e == nil {
		srv.entering[nc] = srv.silent.PushBack(guest{nc, time.Now()})
	}
}

// leaveLobby ends a connection's stay; false: it was closed for another.
func (srv *Server) leaveLobby(nc net.Conn) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.leaveLobbyLocked(nc)
}

func (srv *Server) leaveLobbyLocked(nc net.Conn) bool {
	e, ok := srv.entering[nc]
	if e != nil {
		srv.silent.Remove(e)
	}
	delete(srv.entering, nc)
	return ok
}
