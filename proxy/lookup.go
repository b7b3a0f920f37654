package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy/instance"
)

// lookupOf is how users are looked up that want to come to a database: what is asked, by whom, and the name of the database that is asked in, which is elsewhere than theirs;
// empty: it is at their own.
func (c *Config) lookupOf(database string) (how instance.Lookup, at string) {
	d := c.entryOf(database)
	how = instance.Lookup{Query: cmp.Or(d.Lookup.Query, c.Auth.Query), User: cmp.Or(d.Lookup.User, c.Auth.QueryUser)}
	if at = cmp.Or(d.Lookup.At, c.Auth.QueryAt); at == "" {
		how.Database = c.Auth.QueryDatabase
	}
	return how, at
}

// Lookups are all ways in which users may be looked up, by the identity of the upstream at which that is.
func (c *Config) Lookups() map[string][]instance.Lookup {
	names := []string{AnyDatabase, Consoles[0]}
	for name := range c.Databases {
		names = append(names, name)
	}
	all := map[string][]instance.Lookup{}
	for _, name := range names {
		how, at := c.lookupOf(name)
		d, called, ok := c.destination(cmp.Or(at, name))
		if at != "" {
			how.Database = called
		}
		if id := d.Upstream.Identity(); ok && how.Query != "" && !slices.Contains(all[id], how) {
			all[id] = append(all[id], how)
		}
	}
	return all
}

// lookups are those ways, wherever it is: a database may move.
func (srv *Server) lookups() (list []instance.Lookup) {
	for _, ways := range srv.cfg().Lookups() {
		list = append(list, ways...)
	}
	return list
}

// lookupFor is where and how users are looked up that want to come to a database, which is at in; nil: nowhere.
func (srv *Server) lookupFor(database string, in *instance.Instance) (*instance.Instance, instance.Lookup, error) {
	how, at := srv.cfg().lookupOf(database)
	if how.Query == "" {
		return nil, how, nil
	}
	if at == "" {
		return in, how, nil
	}
	d, called, ok := srv.destination(at)
	switch {
	case IsConsole(at):
		return nil, how, srv.noLookup(fmt.Sprintf("cannot use the reserved %q database as an auth_dbname", at))
	case !ok:
		return nil, how, srv.noLookup(fmt.Sprintf("authentication database %q is not configured", at))
	case srv.isDisabled(at):
		r := &Refusal{Reason: ReasonRejected, Message: "guard: the database in which users are looked up is disabled"}
		if srv.cfg().LikePgBouncer {
			r.Message = fmt.Sprintf("authentication database %q is disabled", at)
		}
		return nil, how, r
	}
	how.Database = called
	return srv.instanceFor(d.Upstream), how, nil
}

// isDisabled is true while nobody may log in to a database.
func (srv *Server) isDisabled(name string) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	d := srv.databases[name]
	return d != nil && d.disabled
}

// noLookup is the answer where users cannot be looked up as the configuration says. Why is for the log.
func (srv *Server) noLookup(why string) error {
	r := &Refusal{Reason: ReasonUnreachable, Message: "guard: users cannot be looked up"}
	if srv.cfg().LikePgBouncer {
		r = &Refusal{Reason: ReasonProtocol, Message: "bouncer config error"}
	}
	return fmt.Errorf("%w (%s)", r, why)
}

// lookupFailed is the answer to who cannot be looked up, for now or because of what PostgreSQL says against the query.
func (srv *Server) lookupFailed(err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) && srv.cfg().LikePgBouncer {
		return srv.noLookup(said.Message)
	}
	return unreachable(err)
}
