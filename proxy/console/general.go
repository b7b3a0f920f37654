package console

import (
	"fmt"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgguard/proxy"
)

var (
	userColumns = slices.Concat(columns(text, "name", "pool_size", "reserve_pool_size", "pool_mode"),
		columns(int4, "max_user_connections", "current_connections", "max_user_client_connections", "current_client_connections"))
	listColumns     = []column{{"list", text}, {"items", int4}}
	memColumns      = slices.Concat(columns(text, "name"), columns(int4, "size", "used", "free", "memtotal"))
	dnsHostColumns  = []column{{"hostname", text}, {"ttl", int8}, {"addrs", text}}
	dnsZoneColumns  = []column{{"zonename", text}, {"serial", int8}, {"count", int4}}
	peerColumns     = []column{{"peer_id", int4}, {"host", text}, {"port", int4}, {"pool_size", int4}}
	peerPoolColumns = columns(int4, "peer_id", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active_cancel", "sv_login")
)

// showUsers shows who is known to the configuration or is here, with the bounds that it says. A user has no mode of his own.
func showUsers(s *session) []row {
	clients, servers := map[string]int{}, map[string]int{}
	for _, c := range s.guard.ClientList() {
		clients[c.User]++
	}
	for _, o := range s.guard.Operators() {
		clients[o.User]++
	}
	for _, v := range s.guard.ServerList() {
		servers[v.User]++
	}
	cfg := s.guard.Config()
	var rows []row
	for _, name := range s.guard.UserNames() {
		u := cfg.Users[name]
		rows = append(rows, row{name, size(u.PerLogin > 0, u.PerLogin), nil, nil, cfg.MostServersOf(name), servers[name], cfg.MostClientsOf(name), clients[name]})
		if u.Reserve != nil {
			rows[len(rows)-1][2] = size(true, *u.Reserve)
		}
	}
	return rows
}

// size is that of a user's pools, as PgBouncer writes it; NULL: it is as that of others.
func size(given bool, n int) any {
	if !given {
		return nil
	}
	return fmt.Sprintf("%9d", n)
}

func showLists(s *session) []row {
	pairs := map[pair]bool{}
	clients := s.guard.ClientList()
	for _, c := range clients {
		pairs[pair{c.Database, c.PoolUser()}] = true
	}
	return []row{
		{"databases", len(s.guard.Databases()) + 1}, {"users", len(s.guard.UserNames())}, {"peers", 0}, {"pools", len(pairs) + 1}, {"peer_pools", 0},
		{"free_clients", 0}, {"used_clients", len(clients) + len(s.guard.Operators())}, {"login_clients", s.guard.Logins()},
		{"free_servers", 0}, {"used_servers", len(s.guard.ServerList())},
		{"dns_names", 0}, {"dns_zones", 0}, {"dns_queries", 0}, {"dns_pending", 0},
	}
}

// showConfig shows the guard's own keys, and of PgBouncer's those that tools read, with what stands for them.
func showConfig(s *session) []row {
	var rows []row
	shown := map[string]bool{}
	for _, k := range s.console.cfg.Settings() {
		shown[k.Key] = true
		rows = append(rows, row{k.Key, k.Value, k.Default, yesNo(k.Changeable)})
	}
	cfg, defaults := s.guard.Config(), proxy.Default()
	for _, k := range likeSettings {
		if !shown[k.key] {
			rows = append(rows, row{k.key, k.of(&cfg), k.of(&defaults), yesNo(!k.fixed)})
		}
	}
	if !shown["listen_port"] {
		rows = append(rows, row{"listen_port", strconv.Itoa(portOf(s.guard)), "6432", "no"})
	}
	sortRows(rows)
	return rows
}

// likeSettings are keys of PgBouncer's that something of the guard's stands for.
var likeSettings = []struct {
	key   string
	of    func(c *proxy.Config) string
	fixed bool // SET does not know it
}{
	{key: "admin_users", of: func(c *proxy.Config) string { return strings.Join(c.Admin.Users, ",") }},
	{key: "auth_type", of: func(c *proxy.Config) string { return string(c.Auth.Policy.Method) }},
	{key: "client_login_timeout", of: func(c *proxy.Config) string { return seconds(c.LoginTimeout) }},
	{key: "max_client_conn", of: func(c *proxy.Config) string { return strconv.Itoa(c.MaxClients) }},
	{key: "max_db_connections", of: func(c *proxy.Config) string { return strconv.Itoa(c.PerDatabase) }},
	{key: "max_prepared_statements", of: func(c *proxy.Config) string { return strconv.Itoa(c.MaxPrepared) }},
	{key: "max_user_connections", of: func(c *proxy.Config) string { return strconv.Itoa(c.PerUser) }},
	{key: "pool_mode", of: func(c *proxy.Config) string { return c.Mode.String() }},
	{key: "server_idle_timeout", of: func(c *proxy.Config) string { return seconds(c.Pool.IdleTimeout) }},
	{key: "server_lifetime", of: func(c *proxy.Config) string { return seconds(c.Pool.Lifetime) }},
	{key: "stats_period", of: func(*proxy.Config) string { return seconds(period) }, fixed: true},
	{key: "stats_users", of: func(c *proxy.Config) string { return strings.Join(c.Admin.StatsUsers, ",") }},
}

// seconds is a time as PgBouncer writes it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// memory are the kinds of memory that Go's runtime tells apart: what is used of each, and what is kept free.
var memory = []struct{ name, used, free string }{
	{"heap", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes"},
	{"heap_unused", "/memory/classes/heap/unused:bytes", ""},
	{"stacks", "/memory/classes/heap/stacks:bytes", ""},
	{"runtime", "/memory/classes/metadata/other:bytes", ""},
	{"buckets", "/memory/classes/profiling/buckets:bytes", ""},
	{"other", "/memory/classes/other:bytes", ""},
}

// showMem shows memory in bytes: there are no caches of pieces of one size, so that a piece is a byte.
func showMem(*session) []row {
	var rows []row
	for _, m := range memory {
		used, free := runtimeBytes(m.used), runtimeBytes(m.free)
		rows = append(rows, row{m.name, 1, used, free, used + free})
	}
	return rows
}

// runtimeBytes reads a metric of Go's runtime; 0 if it has none of this name.
func runtimeBytes(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	if metrics.Read(sample); sample[0].Value.Kind() == metrics.KindUint64 {
		return sample[0].Value.Uint64()
	}
	return 0
}

// showVersion names the PgBouncer whose columns these are first, because tools read that.
func showVersion(s *session) []row {
	return []row{{VersionLine(s.console.cfg.Version)}}
}

// VersionLine is what SHOW VERSION says, for a version of the guard.
func VersionLine(version string) string {
	return "PgBouncer " + likeVersion + " (pgguard " + version + ")"
}

func showState(s *session) []row {
	paused := s.guard.Paused()
	suspended := s.guard.Suspended()
	return []row{{"active", yesNo(!paused && !suspended)}, {"paused", yesNo(paused)}, {"suspended", yesNo(suspended)}}
}

// helpText lists the commands.
const helpText = `
	SHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION
	SHOW PEERS|PEER_POOLS
	SHOW FDS|SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE
	SHOW DNS_HOSTS|DNS_ZONES
	SHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS
	SHOW LIMITS|CLASSES|PINS|QUERIES|EVENTS
	SHOW PRESSURE|INCIDENTS
	SET key = arg
	RELOAD
	PAUSE [<db>]
	RESUME [<db>]
	DISABLE <db>
	ENABLE <db>
	RECONNECT [<db>]
	KILL [<db>]
	KILL_CLIENT <client_id>
	SHUTDOWN
	SHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS
	WAIT_CLOSE [<db>]`

// help says it in a notice, as PgBouncer does.
func help(*session) (result, error) {
	said := notices([]string{"Console usage"})
	said[0].Detail = helpText
	return result{tag: "SHOW", notices: said}, nil
}
