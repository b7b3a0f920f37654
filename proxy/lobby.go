package proxy

import (
	"container/list"
	"net"
	"net/netip"
	"time"

	"pgguard/proxy/sock"
)

// The lobby is where connections are from the moment they are accepted until they are logged in. Who has said nothing
// in it must not take the file descriptors of those who have: they have a number of their own, and when that is used up the one
// that has been silent longest goes for each that comes. Nor may one address take the place of the others: who has more guests than its
// share gives way first.

const (
	// MaxSilent is the most connections in the lobby that have not been counted among the clients yet. A thousand is more than any
	// fleet of applications opens in the milliseconds that a start-up packet takes.
	MaxSilent = 1000
	// fewestSilent is kept in the lobby, whatever else is open: who is one too many must be told so.
	fewestSilent = 16
	// leastPatience is how long a connection may be silent at least: the packet of a client that is in earnest comes with its connection, or,
	// after it was told that there is no encryption, one way to and fro later.
	leastPatience = 50 * time.Millisecond
	// stuckAfter is how long nobody of an address that has more than its share may have logged in before more of them are turned away where there is
	// no room: to wait for them holds up who comes behind them. In a storm of clients in earnest one logs in each few milliseconds.
	stuckAfter = time.Second
	// crowdedEvery spaces the log lines about connections that were closed for others.
	crowdedEvery = 10 * time.Second
)

// lobby is who is in it. The zero value is empty. Everything in it is guarded by the Server's mu.
type lobby struct {
	guests map[net.Conn]*guest
	homes  map[netip.Prefix]*home // those with guests that are not counted among the clients
	silent list.List              // of *guest: of all homes, the one that has been silent longest first
	size   int                    // how many are not counted among the clients
}

// guest is a connection in the lobby.
type guest struct {
	nc      net.Conn
	home    *home         // nil: it is counted among the clients
	since   time.Time     // that it is silent
	silence *list.Element // in lobby.silent; nil: it has spoken
	place   *list.Element // in one of its home's lists
}

// home is where guests come from: an address, or of IPv6, where everybody has as many as he likes, a network of one site.
type home struct {
	where          netip.Prefix
	silent, spoken list.List // of *guest, the one that has been so longest first
	moved          time.Time // when one of them logged in last, or the first came
}

// homeOf is where a connection comes from; the zero value: this machine, by a unix socket.
func homeOf(nc net.Conn) netip.Prefix {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() && !a.IsLoopback() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // no address of TCP is shorter
	return p
}

// len is how many guests are of it.
func (h *home) len() int {
	if h == nil {
		return 0
	}
	return h.silent.Len() + h.spoken.Len()
}

// add lets a connection in that has said nothing.
func (l *lobby) add(nc net.Conn, now time.Time) {
	if l.guests == nil {
		l.guests, l.homes = map[net.Conn]*guest{}, map[netip.Prefix]*home{}
	}
	where := homeOf(nc)
	h := l.homes[where]
	if h == nil {
		h = &home{where: where, moved: now}
		l.homes[where] = h
	}
	g := &guest{nc: nc, home: h, since: now}
	g.silence, g.place = l.silent.PushBack(g), h.silent.PushBack(g)
	l.guests[nc] = g
	l.size++
}

// speaks notes that a guest has said something.
func (l *lobby) speaks(g *guest) {
	if g.silence != nil {
		l.silent.Remove(g.silence)
		g.silence = nil
		if g.home != nil {
			g.home.silent.Remove(g.place)
			g.place = g.home.spoken.PushBack(g)
		}
	}
}

// hushes notes that a guest must speak again.
func (l *lobby) hushes(g *guest, now time.Time) {
	if g.silence == nil && g.home != nil {
		g.home.spoken.Remove(g.place)
		g.since = now
		g.silence, g.place = l.silent.PushBack(g), g.home.silent.PushBack(g)
	}
}

// unheard notes that a guest has said something that has not been read yet: on a machine that is busy it is not for the guest to hurry.
func (l *lobby) unheard(g *guest, now time.Time) {
	g.since = now
	l.silent.MoveToBack(g.silence)
	g.home.silent.MoveToBack(g.place)
}

// counted notes that a guest is counted among the clients.
func (l *lobby) counted(g *guest, now time.Time) {
	if g.home == nil {
		return
	}
	g.home.moved = now
	l.leavesHome(g)
}

// remove has a guest gone.
func (l *lobby) remove(g *guest) {
	if g.home != nil {
		l.leavesHome(g)
	}
	delete(l.guests, g.nc)
}

// leavesHome takes a guest out of the lists.
func (l *lobby) leavesHome(g *guest) {
	l.speaks(g)
	g.home.spoken.Remove(g.place)
	if g.home.len() == 0 {
		delete(l.homes, g.home.where)
	}
	g.home = nil
	l.size--
}

// crowd is the home with most guests of those that have more than their share; nil: none has.
func (l *lobby) crowd(share func(netip.Prefix) int) (most *home) {
	for _, h := range l.homes {
		if n := h.len(); n > most.len() && n > share(h.where) {
			most = h
		}
	}
	return most
}

// stuck is true for a home with its share of guests, or more, none of whom comes in.
func (l *lobby) stuck(where netip.Prefix, share int, now time.Time) bool {
	h := l.homes[where]
	return h.len() >= share && now.Sub(h.moved) >= stuckAfter
}

// lobbyRoomLocked is how many connections may be in the lobby that are not counted among the clients.
func (srv *Server) lobbyRoomLocked() int {
	files := srv.cfg().Files
	if files == 0 {
		return MaxSilent
	}
	// An eighth, so that the lobby of a small process leaves it clients.
	free := files - len(srv.entered) - srv.admitted
	return max(fewestSilent, min(MaxSilent, files/8, free))
}

// shareLocked is how many of them may be of one address: half, or all where it is this machine, whose clients are all at one address beside a sidecar, and
// come all at once when their applications start.
func (srv *Server) shareLocked(where netip.Prefix) int {
	room := srv.lobbyRoomLocked()
	half := room / 2
	switch n := srv.cfg().MaxLoginsPerAddress; {
	case n > 0:
		return min(n, half)
	case !where.IsValid() || where.Addr().IsLoopback():
		return room
	}
	return half
}

// arrive lets a connection into the lobby, waiting for room if it must: those behind it wait in the kernel meanwhile. It is false
// if the connection was turned away and closed, or the Server closes before.
func (srv *Server) arrive(nc net.Conn) bool {
	for {
		out, wait := srv.enterLobby(nc, time.Now())
		if out != nil {
			_ = out.Close()
			srv.tellCrowded(time.Now())
		}
		if wait == 0 {
			return out != nc
		}
		select {
		case <-time.After(wait):
		case <-srv.ctx.Done():
			_ = nc.Close()
			return false
		}
	}
}

// enterLobby lets a connection in, if it must in the place of another, which is for the caller to close, as is itself if it is turned away; or it
// returns how long to wait.
func (srv *Server) enterLobby(nc net.Conn, now time.Time) (out net.Conn, wait time.Duration) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	from := homeOf(nc)
	g, wait := srv.givesWayLocked(from, now)
	switch {
	case wait > 0 && srv.lobby.stuck(from, srv.shareLocked(from), now):
		return nc, 0
	case wait > 0:
		return nil, wait
	case g != nil:
		out = g.nc
		srv.lobby.remove(g)
	}
	srv.lobby.add(nc, now)
	return out, 0
}

// givesWayLocked is the guest that gives way to one from this address; nil: none needs to, or there is none yet, after wait there may be. An
// address that has its share gives way to itself, by who has been silent long enough. Where there is no room, one with more than its share
// gives way to others at once, by those that came last if all of its guests have spoken; else who has been silent longest.
func (srv *Server) givesWayLocked(from netip.Prefix, now time.Time) (g *guest, wait time.Duration) {
	share, own, line := srv.shareLocked(from), srv.lobby.homes[from], &srv.lobby.silent
	full := srv.lobby.size >= srv.lobbyRoomLocked()
	if full {
		if most := srv.lobby.crowd(srv.shareLocked); most != nil && most != own {
			return most.last(), 0
		}
	}
	switch {
	case own.len() >= share:
		line = &own.silent
	case !full:
		return nil, 0
	}
	wait = leastPatience // if all have spoken, and wait for their turn
	for e := line.Front(); e != nil; e = line.Front() {
		g = e.Value.(*guest)
		if wait = leastPatience - now.Sub(g.since); wait > 0 || !sock.Ahead(g.nc) {
			break
		}
		srv.lobby.unheard(g, now)
	}
	switch {
	case wait <= 0:
		return g, 0
	case !full:
		return nil, 0 // beyond its share, as nobody else needs the room
	}
	return nil, wait
}

// last is the guest that gives way to others first.
func (h *home) last() *guest {
	if e := h.silent.Front(); e != nil {
		return e.Value.(*guest)
	}
	return h.spoken.Back().Value.(*guest)
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
	g := srv.lobby.guests[nc]
	if g != nil {
		srv.lobby.speaks(g)
	}
	return g != nil
}

// hushed notes that a connection which has spoken must speak again, and may be closed for another until it does.
func (srv *Server) hushed(nc net.Conn) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if g := srv.lobby.guests[nc]; g != nil {
		srv.lobby.hushes(g, time.Now())
	}
}

// leaveLobby ends a connection's stay; false: it was closed for another.
func (srv *Server) leaveLobby(nc net.Conn) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.leaveLobbyLocked(nc)
}

func (srv *Server) leaveLobbyLocked(nc net.Conn) bool {
	g := srv.lobby.guests[nc]
	if g != nil {
		srv.lobby.remove(g)
	}
	return g != nil
}
