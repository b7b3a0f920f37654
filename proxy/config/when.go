package config

import "strings"

// When is when a change of a key has its effect, while the guard runs.
type When string

// The times.
const (
	AtOnce     When = "at once"
	NewClients When = "for clients to come" // those who are in keep what they came with
	Restart    When = "needs a restart"     // the old value stays
)

// whens are all keys: when each has its effect. A name that people choose is *, a place in a list [].
var whens = map[string]When{
	"listen[].addr": Restart, "listen[].class": Restart, "listen[].tls": Restart, "listen[].socket_mode": Restart, "listen[].socket_group": Restart,
	"http": Restart, "pprof": Restart,

	"mode": AtOnce, "upstream": AtOnce, "upstream_password.file": AtOnce, "upstream_password.command": AtOnce, "upstream_password.cache": AtOnce,

	"pool.mode": NewClients, "pool.max_servers": AtOnce, "pool.max_servers_per_login": AtOnce, "pool.max_servers_per_database": AtOnce, "pool.max_servers_per_user": AtOnce,
	"pool.reserve_servers_per_login": AtOnce, "pool.reserve_after": AtOnce, "databases.*.pool.reserve_servers_per_login": AtOnce, "users.*.reserve_servers_per_login": AtOnce,
	"pool.min_servers_per_login": AtOnce, "databases.*.pool.min_servers_per_login": AtOnce,
	"pool.limit": AtOnce, "pool.dials": AtOnce, "pool.idle_timeout": AtOnce, "pool.lifetime": AtOnce, "pool.max_prepared_statements": NewClients, "pool.statement_age": NewClients,
	"pool.prepared_memory": Restart, "pool.prepare_unnamed": NewClients, "pool.max_pinned": AtOnce, "pool.sync_application_name": NewClients, "pool.learned": AtOnce,

	"classes[].name": Restart, "classes[].weight": AtOnce, "classes[].max_wait": AtOnce, "classes[].max_queue": AtOnce, "classes[].max_share": AtOnce,
	"classes[].interactive": AtOnce, "classes[].match[].listener": NewClients, "classes[].match[].database": NewClients, "classes[].match[].user": NewClients,
	"classes[].match[].application_name": NewClients, "classes[].match[].tag": NewClients, "classes[].match[].tag_value": NewClients,

	"databases.*.upstream": AtOnce, "databases.*.user": NewClients, "databases.*.settings.*": NewClients, "databases.*.pool.mode": NewClients,
	"databases.*.pool.max_servers": AtOnce, "databases.*.pool.max_servers_per_login": AtOnce,
	"users.*.max_servers": AtOnce, "users.*.max_servers_per_login": AtOnce,
	"max_clients_per_database": AtOnce, "max_clients_per_user": AtOnce, "databases.*.max_clients": AtOnce, "users.*.max_clients": AtOnce,

	"disconnect_after.statement": AtOnce, "disconnect_after.transaction": AtOnce, "disconnect_after.idle_in_transaction": AtOnce, "disconnect_after.idle": AtOnce,
	"users.*.disconnect_after.statement": AtOnce, "users.*.disconnect_after.transaction": AtOnce, "users.*.disconnect_after.idle_in_transaction": AtOnce,
	"users.*.disconnect_after.idle": AtOnce,

	"max_clients": AtOnce, "max_logins_per_address": AtOnce, "login_timeout": NewClients, "write_timeout": NewClients, "peer_timeout": AtOnce, "cancel_timeout": AtOnce,
	"defer_begin": NewClients, "shutdown.accept_while_draining": AtOnce, "shutdown.grace": AtOnce, "shutdown.idle_grace": AtOnce, "log.format": Restart, "log.level": AtOnce, "log.slow_query": AtOnce,

	"auth.method": NewClients, "auth.users.*.secret": NewClients, "auth.users.*.password": NewClients, "auth.users.*.password_file": NewClients, "auth.users_file": NewClients,
	"auth.query": NewClients, "auth.query_database": NewClients, "auth.query_user": NewClients, "auth.query_at": NewClients, "auth.rules[].known": NewClients,
	"databases.*.pool.lifetime": AtOnce,
	"databases.*.auth.query":    NewClients, "databases.*.auth.query_user": NewClients, "databases.*.auth.query_at": NewClients, "auth.insecure": NewClients,
	"auth.rules[].address": NewClients, "auth.rules[].database": NewClients, "auth.rules[].user": NewClients, "auth.rules[].tls": NewClients, "auth.rules[].method": NewClients,
	"auth.rules[].map.*": NewClients,

	"tls.mode": NewClients, "tls.cert": NewClients, "tls.key": NewClients, "tls.client_ca": NewClients, "tls.client_crl": NewClients,
	"admin.users": NewClients, "admin.stats_users": NewClients, "admin.token_file": AtOnce,
	"admin.tls.cert": Restart, "admin.tls.key": Restart, "admin.tls.client_ca": Restart, "admin.tls.client_crl": Restart,
	"incidents.file": Restart, "incidents.size": Restart, "incidents.keep": Restart, "reload_on_change": Restart,
	"show_queries": Restart, "notice_after": AtOnce, "exemplars": Restart, "otlp.url": Restart, "otlp.interval": Restart,
	"takeover.socket": Restart, "takeover.timeout": Restart, "takeover.grace": Restart,
}

// WhenOf is when a change of a key has its effect. The key is one of Settings, or of the schema; "": there is none of that name.
func WhenOf(key string) When {
	if w, ok := whens[key]; ok {
		return w
	}
	return whens[schemaOf(key)]
}

// HasKeys is true for what has keys or a list below it, such as listen or auth.rules.
func HasKeys(path string) bool {
	for key := range whens {
		if key != path && under(key, path) {
			return true
		}
	}
	return false
}

// schemaOf is a key with * and [] in the place of what people choose.
func schemaOf(key string) string {
	var b strings.Builder
	for rest := key; rest != ""; {
		switch {
		case rest[0] == '[' && strings.HasPrefix(rest, `["`):
			_, after, _ := strings.Cut(rest, `"]`)
			b.WriteString(".*")
			rest = after
		case rest[0] == '[':
			_, after, _ := strings.Cut(rest, "]")
			b.WriteString("[]")
			rest = after
		default:
			part := strings.TrimPrefix(rest, ".")
			end := strings.IndexAny(part, ".[")
			if end < 0 {
				end = len(part)
			}
			name := part[:end]
			if isMap(b.String()) {
				name = "*"
			}
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(name)
			rest = part[end:]
		}
	}
	return b.String()
}

// isMap is true for the keys below which people choose the names.
func isMap(schema string) bool {
	switch schema {
	case "databases", "databases.*.settings", "users", "auth.users", "auth.rules[].map":
		return true
	}
	return false
}
