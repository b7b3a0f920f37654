package proxy

import (
	"errors"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
)

// errSilent is why a connection ends whose peer's machine does not answer any more.
var errSilent = errors.New("peer's machine does not answer")

// suspect is how long a server may be silent before other servers, which nobody has used since, are taken to be as far away. Their logins
// cost less than the clients that would find out.
const suspect = 2 * time.Second

// hearEvery spaces looks at all clients, of which there may be many.
func (srv *Server) hearEvery() time.Duration { return min(5*time.Second, srv.cfg().PeerTimeout/4) }

// endSilent ends connections whose peer's machine has not acknowledged anything for Config.PeerTimeout; where nothing is under way the system's
// keep-alive does. Servers that nobody has used since the first of them fell silent are not lent before they are known to answer: they are
// retired. It has one caller, who calls it every half second.
func (srv *Server) endSilent(now time.Time) {
	for _, in := range srv.allInstances() {
		lent := srv.lent[:0]
		in.Pool.Each(func(c pool.Conn) {
			if b := c.(*backend); b.link.Load() != nil {
				lent = append(lent, b)
			}
		})
		srv.lent = lent
		longest := time.Duration(0)
		for _, b := range lent {
			silent := b.conn.Silent(now)
			longest = max(longest, silent)
			if silent >= srv.cfg().PeerTimeout {
				b.silent.Store(true)
				b.conn.Cut()
			}
		}
		if longest >= suspect {
			srv.suspectIdle(in, longest, now)
		}
	}
	if now.Sub(srv.heard) < srv.hearEvery() {
		return
	}
	srv.heard = now
	for _, s := range srv.all() {
		if s.conn.Silent(now) >= srv.cfg().PeerTimeout {
			s.cut(errSilent)
		}
	}
}

// suspectIdle retires the servers that are idle and have not been used for as long as one of their instance has been silent.
func (srv *Server) suspectIdle(in *instance.Instance, silent time.Duration, now time.Time) {
	n := in.Pool.Retire(now, "another server is silent", func(s *pool.Server) bool { return s.IdleFor(now) > silent })
	if n > 0 {
		srv.log.Warn("servers retired, because another does not answer", "upstream", in.Name(), "servers", n, "silent", silent.String())
	}
}
