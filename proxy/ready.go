package proxy

import "time"

// readyOf is how many servers are kept ready of each user in a database that clients call so.
func (c *Config) readyOf(name string) int { return own(c.entryOf(name).Ready, c.Ready) }

// own is a number that an exception has, else what holds for all.
func own(n *int, all int) int {
	if n == nil {
		return all
	}
	return *n
}

// readies is true if servers of any database are kept ready.
func (c *Config) readies() bool {
	for _, d := range c.Databases {
		if own(d.Ready, 0) > 0 {
			return true
		}
	}
	return c.Ready > 0
}

// standby is what lookAround knows of servers that are kept ready.
type standby struct {
	on     bool              // some were when it looked last
	routes map[string]*route // of databases of which they are without any client, by name
}

// keepReady says to each pool how many servers it is to keep ready now: of a database that is paused none, and none of any when the guard ends or another process takes
// its place. Only lookAround calls it.
func (srv *Server) keepReady(now time.Time) {
	cfg := srv.cfg()
	on := cfg.readies() && !srv.draining.Load() && srv.ctx.Err() == nil && srv.heir.Load() == nil
	if !on && !srv.standby.on {
		return
	}
	srv.standby.on = on
	srv.stand(cfg, on)
	for _, in := range srv.allInstances() {
		least := map[string]int{}
		if on {
			for _, d := range srv.known("") {
				if d.inst() == in && !srv.isPaused(d) {
					least[d.name] = cfg.readyOf(d.name)
				}
			}
		}
		in.Pool.Ready(least, now)
	}
}

// stand has a database with a user of its own be used as by a client of that user with no settings, so that servers are ready before the first comes.
func (srv *Server) stand(cfg *Config, on bool) {
	for name, r := range srv.standby.routes {
		d, named := cfg.Databases[name]
		if !on || !named || d.User == "" || cfg.readyOf(name) == 0 {
			srv.forget(r)
			delete(srv.standby.routes, name)
		}
	}
	for name, d := range cfg.Databases {
		if !on || name == AnyDatabase || d.User == "" || cfg.readyOf(name) == 0 {
			continue
		}
		was := srv.standby.routes[name]
		if was != nil && was.stands(cfg) {
			continue
		}
		r, err := srv.routeFor(&hello{user: d.User, database: name}, false)
		if err != nil {
			continue
		}
		if was != nil {
			srv.forget(was)
		}
		srv.standby.routes[name] = r
	}
}

// stands is true while whoever came now would have the same route: nothing has been reloaded, its database has not moved, and its user is given there what he was.
func (r *route) stands(cfg *Config) bool {
	l := r.key.Value.(*login)
	return r.cfg == cfg && !r.strayed() && l.entry == r.inst.Entry(l.entry.Database, l.entry.User) && l.turn == l.entry.Turn()
}
