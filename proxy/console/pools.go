package console

import (
	"cmp"
	"slices"
	"time"

	"pgguard/pool"
	"pgguard/pool/sorting"
	"pgguard/proxy"
	"pgguard/proxy/upstream"
)

// adminName is what the console itself is called where it stands among databases, as PgBouncer's does.
const adminName = "pgbouncer"

var databaseColumns = []column{
	{"name", text}, {"host", text}, {"port", int4}, {"database", text}, {"force_user", text}, {"pool_size", int4}, {"min_pool_size", int4},
	{"reserve_pool_size", int4}, {"server_lifetime", int4}, {"pool_mode", text}, {"load_balance_hosts", text}, {"max_connections", int4},
	{"current_connections", int4}, {"max_client_connections", int4}, {"current_client_connections", int4}, {"paused", int4}, {"disabled", int4},
}

// showDatabases shows each database with the bounds of the configuration on its servers, and where there are none with the cap of its PostgreSQL, which all of that share. Connections
// are counted where their database is.
func showDatabases(s *session) []row {
	cfg := s.guard.Config()
	caps := map[string]int{}
	for _, p := range s.guard.Stats().Pools {
		caps[p.Name] = p.Cap
	}
	servers := map[place]int{}
	for _, v := range s.guard.ServerList() {
		servers[place{v.Upstream, v.Database}]++
	}
	lifetime := int(cfg.Pool.Lifetime.Seconds())
	var rows []row
	for _, d := range s.guard.Databases() {
		most := caps[d.Upstream.Address()]
		rows = append(rows, row{
			d.Name, d.Upstream.Host, d.Upstream.Port, d.Real, orNull(d.As), cmp.Or(d.PerLogin, most), d.Ready, d.Reserve, int(cmp.Or(d.Lifetime, cfg.Pool.Lifetime).Seconds()), d.Mode.String(), balancing(d.Upstream),
			cmp.Or(d.MostServers, most),
			servers[place{d.Upstream.Address(), d.Real}], d.MostClients, d.Clients, bit(d.Paused), bit(d.Disabled),
		})
	}
	rows = append(rows, row{
		adminName, nil, portOf(s.guard), adminName, adminName, 0, 0, 0, lifetime, "statement", nil, 0, 0, cfg.ClientsPerDatabase, len(s.guard.Operators()), 0, 0,
	})
	sortRows(rows)
	return rows
}

// orNull is a text, or NULL for none.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// balancing is how servers are spread over the hosts of an upstream, in PgBouncer's words; NULL: there is one.
func balancing(u upstream.Upstream) any {
	switch {
	case len(u.More) == 0:
		return nil
	case u.Shuffle:
		return "round-robin"
	}
	return "disable"
}

// bit is 1 for true.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// place is a database of an instance.
type place struct{ upstream, database string }

// sortRows sorts by the first column.
func sortRows(rows []row) {
	sorting.By(rows, func(a, b row) int { return cmp.Compare(a[0].(string), b[0].(string)) })
}

var poolColumns = slices.Concat(
	columns(text, "database", "user"),
	columns(int4, "cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active", "sv_active_cancel", "sv_being_canceled", "sv_idle",
		"sv_used", "sv_tested", "sv_login", "maxwait", "maxwait_us"),
	columns(text, "pool_mode", "load_balance_hosts"),
)

// pair is a database as clients call it and a user: PgBouncer's pool.
type pair struct{ database, user string }

// poolRow is what is counted of a pair.
type poolRow struct {
	active, waiting                                int
	svActive, svCancelled, svIdle, svUsed, svLogin int
	longest                                        time.Duration
}

func showPools(s *session) []row {
	pools := map[pair]*poolRow{}
	of := func(database, user string) *poolRow {
		p := pools[pair{database, user}]
		if p == nil {
			p = &poolRow{}
			pools[pair{database, user}] = p
		}
		return p
	}
	databases := s.guard.Databases()
	for _, c := range s.guard.ClientList() {
		p := of(c.Database, c.PoolUser())
		if c.State == "waiting" {
			p.waiting++
			p.longest = max(p.longest, c.Waited)
		} else {
			p.active++
		}
	}
	for _, v := range s.guard.ServerList() {
		of(nameOf(v, databases), v.User).count(v)
	}
	modes := map[string]string{}
	for _, d := range databases {
		modes[d.Name] = d.Mode.String()
	}
	var rows []row
	for k, p := range pools {
		rows = append(rows, p.row(k, modes[k.database]))
	}
	rows = append(rows, (&poolRow{active: len(s.guard.Operators())}).row(pair{adminName, adminName}, "statement"))
	sorting.By(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a[0].(string), b[0].(string)), cmp.Compare(a[1].(string), b[1].(string)))
	})
	return rows
}

func (p *poolRow) row(k pair, mode string) row {
	return row{
		k.database, k.user, p.active, p.waiting, 0, 0, p.svActive, 0, p.svCancelled, p.svIdle, p.svUsed, 0, p.svLogin,
		int(p.longest / time.Second), int(p.longest % time.Second / time.Microsecond), mode, nil,
	}
}

// count counts a server under the state that PgBouncer has for it.
func (p *poolRow) count(v proxy.ServerInfo) {
	switch serverState(v) {
	case "being_canceled":
		p.svCancelled++
	case "active":
		p.svActive++
	case "idle":
		p.svIdle++
	case "used":
		p.svUsed++
	case "new":
		p.svLogin++
	}
}

// serverState is PgBouncer's word for the state of a server. One that is being closed is nobody's any more, as its "used" ones are.
func serverState(v proxy.ServerInfo) string {
	switch {
	case v.State == pool.Opening:
		return "new"
	case v.Cancels:
		return "being_canceled"
	case v.State == pool.Lent:
		return "active"
	case v.State == pool.Idle:
		return "idle"
	}
	return "used"
}

// nameOf is what clients call the database of a server: its client, or the first name that leads there.
func nameOf(v proxy.ServerInfo, databases []proxy.DatabaseInfo) string {
	if v.ClientDatabase != "" {
		return v.ClientDatabase
	}
	for _, d := range databases {
		if d.Real == v.Database && d.Upstream.Address() == v.Upstream {
			return d.Name
		}
	}
	return v.Database
}
