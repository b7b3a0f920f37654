package proxy

import (
	"fmt"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// stranger is a connection from somewhere that says nothing.
type stranger struct {
	net.Conn
	from string // empty: a unix socket
}

func (s *stranger) RemoteAddr() net.Addr {
	if s.from == "" {
		return &net.UnixAddr{Net: "unix"}
	}
	return &net.TCPAddr{IP: net.ParseIP(s.from), Port: 1}
}

// foyer is a Server of which only the lobby is used, with room for 16 and a share of 4.
func foyer() *Server {
	srv := &Server{}
	srv.conf.Store(&Config{Files: 40, MaxLoginsPerAddress: 4})
	return srv
}

// let has n come from an address; none may have to wait.
func (srv *Server) let(t *testing.T, n int, from string, now time.Time) (in, out []net.Conn) {
	t.Helper()
	for range n {
		nc := &stranger{from: from}
		o, wait := srv.enterLobby(nc, now)
		if wait > 0 {
			t.Fatalf("one from %q has to wait for %s", from, wait)
		}
		in = append(in, nc)
		if o != nil {
			out = append(out, o)
		}
	}
	return in, out
}

// TestAddressGivesWayToItself: beyond its share, once its oldest has been silent long enough; to nobody else while there is room.
func TestAddressGivesWayToItself(t *testing.T) {
	srv, start := foyer(), time.Now()
	old, _ := srv.let(t, 1, "10.0.0.1", start)
	first, out := srv.let(t, 6, "10.0.0.2", start.Add(time.Millisecond))
	if len(out) > 0 {
		t.Error("closed before it could have said anything")
	}
	_, out = srv.let(t, 1, "10.0.0.2", start.Add(time.Second))
	if len(out) != 1 || out[0] != first[0] || srv.spoke(first[0]) || !srv.spoke(old[0]) {
		t.Errorf("closed %v, want the first of those of the same address", out)
	}
	if n := len(srv.lobby.guests); n != 7 {
		t.Errorf("%d are there", n)
	}
}

// TestCrowdGivesWayToOthers: where there is no room, an address with more than its share loses the one that has been silent longest, or, if all have
// spoken, the one that came last, at once.
func TestCrowdGivesWayToOthers(t *testing.T) {
	srv, now := foyer(), time.Now()
	others, _ := srv.let(t, 3, "10.0.0.1", now)
	crowd, _ := srv.let(t, 13, "10.0.0.2", now)
	srv.spoke(crowd[0])
	for i, from := range []string{"10.0.0.3", "10.0.0.4", ""} {
		if _, out := srv.let(t, 1, from, now); len(out) != 1 || out[0] != crowd[i+1] {
			t.Fatalf("%q: closed %v", from, out)
		}
	}
	for _, nc := range crowd {
		srv.spoke(nc)
	}
	if _, out := srv.let(t, 1, "10.0.0.5", now); len(out) != 1 || out[0] != crowd[12] {
		t.Errorf("all have spoken: closed %v", out)
	}
	for _, nc := range others {
		if !srv.spoke(nc) {
			t.Error("one of an address that has its share only was closed")
		}
	}
	more := &stranger{from: "10.0.0.2"}
	if out, wait := srv.enterLobby(more, now); out != nil || wait != leastPatience {
		t.Errorf("one more of the crowd waits for %s", wait)
	}
	if out, _ := srv.enterLobby(more, now.Add(stuckAfter)); out != more {
		t.Error("one more of a crowd that does not come in is not turned away")
	}
	s := &session{srv: srv}
	s.conn.Conn = crowd[5]
	srv.cfg().MaxClients = 10
	_ = srv.admit(s, "app")
	srv.let(t, 1, "10.0.0.2", time.Now())
	if out, wait := srv.enterLobby(more, time.Now()); out != nil || wait <= 0 {
		t.Errorf("one more of a crowd that comes in waits for %s", wait)
	}
}

// TestHomes: an address of IPv4, a network of IPv6, this machine.
func TestHomes(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false},
		{"10.0.0.1", "::ffff:10.0.0.1", true},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"", "", true},
		{"", "127.0.0.1", false},
	} {
		if got := homeOf(&stranger{from: tt.a}) == homeOf(&stranger{from: tt.b}); got != tt.same {
			t.Errorf("%q and %q: the same home: %t", tt.a, tt.b, got)
		}
	}
}

// TestLobbyCountsWhoIsThere: whatever comes, speaks, is counted and goes, the lists hold exactly those that are there.
func TestLobbyCountsWhoIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		srv, now := foyer(), time.Now()
		var all []net.Conn
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "ms")) * time.Millisecond)
			if len(all) == 0 || rapid.Bool().Draw(t, "comes") {
				nc := &stranger{from: fmt.Sprintf("10.0.0.%d", rapid.IntRange(1, 5).Draw(t, "from"))}
				if out, wait := srv.enterLobby(nc, now); wait == 0 && out != nc {
					all = append(all, nc)
				}
				srv.held(t)
				continue
			}
			nc := all[rapid.IntRange(0, len(all)-1).Draw(t, "who")]
			switch rapid.IntRange(0, 3).Draw(t, "does") {
			case 0:
				srv.spoke(nc)
			case 1:
				srv.hushed(nc)
			case 2:
				srv.leaveLobby(nc)
			case 3:
				s := &session{srv: srv}
				s.conn.Conn = nc
				if g := srv.lobby.guests[nc]; g != nil && g.home != nil && srv.admitted < 5 {
					srv.cfg().MaxClients = 10
					_ = srv.admit(s, "app")
				}
			}
			srv.held(t)
		}
		for _, nc := range all {
			srv.leaveLobby(nc)
		}
		if l := &srv.lobby; len(l.guests)+len(l.homes)+l.silent.Len() > 0 {
			t.Fatalf("left behind: %d guests, %d homes, %d silent", len(l.guests), len(l.homes), l.silent.Len())
		}
	})
}

// held compares the lists with each other.
func (srv *Server) held(t *rapid.T) {
	silent, spoken := 0, 0
	for where, h := range srv.lobby.homes {
		if h.len() == 0 || h.where != where {
			t.Fatalf("a home without guests: %v", where)
		}
		silent, spoken = silent+h.silent.Len(), spoken+h.spoken.Len()
	}
	counted := 0
	for _, g := range srv.lobby.guests {
		if g.home == nil {
			counted++
		}
	}
	if silent != srv.lobby.silent.Len() || silent+spoken+counted != len(srv.lobby.guests) {
		t.Fatalf("%d silent of %d, %d have spoken, %d are counted, of %d", silent, srv.lobby.silent.Len(), spoken, counted, len(srv.lobby.guests))
	}
	if n := silent + spoken; n > srv.lobbyRoomLocked() {
		t.Fatalf("%d are there, the room is for %d", n, srv.lobbyRoomLocked())
	}
}

// TestApplicationsOfThisMachineStartAllAtOnce: beside a sidecar all clients are at one address, and say nothing for as long as the machine is too busy for
// them. While there is room none is closed, however long that takes; of another machine's, those beyond its share are.
func TestApplicationsOfThisMachineStartAllAtOnce(t *testing.T) {
	for from, closed := range map[string]int{"127.0.0.1": 0, "::1": 0, "": 0, "10.0.0.1": 450} {
		srv, start := &Server{}, time.Now()
		srv.conf.Store(&Config{})
		srv.let(t, 500, from, start)
		if _, out := srv.let(t, 450, from, start.Add(time.Second)); len(out) != closed {
			t.Errorf("from %q: %d were closed, want %d", from, len(out), closed)
		}
	}
}
