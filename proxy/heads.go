package proxy

import "cmp"

// head is a client, or an operator, as it is counted.
type head struct{ database, user string }

// heads are how many there are of each database and of each user. The zero value is none. It is guarded by the Server's mu.
type heads struct{ databases, users map[string]int }

// add has n more be there.
func (c *heads) add(h head, n int) {
	if c.databases == nil {
		c.databases, c.users = map[string]int{}, map[string]int{}
	}
	count(c.databases, h.database, n)
	count(c.users, h.user, n)
}

// count adds n to what is counted of a name. Nothing is kept of a name of which there is nobody.
func count(of map[string]int, name string, n int) {
	if of[name] += n; of[name] == 0 {
		delete(of, name)
	}
}

// roomLocked is nil if one more client may come to a database as this user; else its answer.
func (srv *Server) roomLocked(database, user string) error {
	cfg := srv.cfg()
	if most := cmp.Or(cfg.entryOf(database).MaxClients, cfg.ClientsPerDatabase); most > 0 && srv.heads.databases[database] >= most {
		return srv.tooMany("guard: as many clients as may be are in this database", "client connections exceeded (max_db_client_connections)")
	}
	if most := cfg.MostClientsOf(user); most > 0 && srv.heads.users[user] >= most {
		return srv.tooMany("guard: as many clients as may be are connected as this user", "client connections exceeded (max_user_client_connections)")
	}
	return nil
}

// MostClientsOf is how many clients may call themselves by this name; 0: as many as there may be of all.
func (c *Config) MostClientsOf(user string) int {
	return cmp.Or(c.Users[user].MaxClients, c.ClientsPerUser)
}

// MostServersOf is how many servers may be logged in to by this name; 0: as many as PostgreSQL allows.
func (c *Config) MostServersOf(user string) int { return cmp.Or(c.Users[user].MaxServers, c.PerUser) }

// tooMany is the answer to one client too many, in the guard's own words or in PgBouncer's.
func (srv *Server) tooMany(own, theirs string) *Refusal {
	if srv.cfg().LikePgBouncer {
		return &Refusal{Reason: ReasonClients, Message: theirs}
	}
	return &Refusal{Reason: ReasonClients, Message: own}
}
