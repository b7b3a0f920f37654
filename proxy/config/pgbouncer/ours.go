package pgbouncer

import (
	"strings"

	"pgguard/proxy/config"
)

// ours are the keys of pgguard that keys of [pgbouncer] stand for, for who knows those, where the configuration is pgguard's own.
var ours = map[string]struct {
	key string
	as  func(value string) string // nil: as it is
}{
	"admin_users":              {key: "admin.users"},
	"auth_file":                {key: "auth.users_file"},
	"auth_query":               {key: "auth.query"},
	"auth_user":                {key: "auth.query_user"},
	"query_timeout":            {key: "disconnect_after.statement", as: inSeconds},
	"transaction_timeout":      {key: "disconnect_after.transaction", as: inSeconds},
	"idle_transaction_timeout": {key: "disconnect_after.idle_in_transaction", as: inSeconds},
	"client_idle_timeout":      {key: "disconnect_after.idle", as: inSeconds},
	"auth_dbname":              {key: "auth.query_at"},
	"auth_type":                {key: "auth.method", as: func(v string) string { return strings.Replace(lower(v), "plain", "password", 1) }},
	"client_login_timeout":     {key: "login_timeout", as: inSeconds},
	"client_tls_ca_file":       {key: "tls.client_ca"},
	"client_tls_cert_file":     {key: "tls.cert"},
	"client_tls_key_file":      {key: "tls.key"},
	"client_tls_sslmode": {key: "tls.mode", as: func(v string) string {
		return map[string]string{"disable": "off", "prefer": "allow", "verify-full": "verify-ca"}[lower(v)]
	}},
	"default_pool_size":           {key: "pool.max_servers_per_login", as: unbounded},
	"max_client_conn":             {key: "max_clients"},
	"max_db_client_connections":   {key: "max_clients_per_database", as: unbounded},
	"max_db_connections":          {key: "pool.max_servers_per_database", as: unbounded},
	"max_prepared_statements":     {key: "pool.max_prepared_statements"},
	"max_user_client_connections": {key: "max_clients_per_user", as: unbounded},
	"max_user_connections":        {key: "pool.max_servers_per_user", as: unbounded},
	"min_pool_size":               {key: "pool.min_servers_per_login"},
	"pool_mode":                   {key: "pool.mode", as: lower},
	"query_wait_notify":           {key: "notice_after", as: inSeconds},
	"reserve_pool_size":           {key: "pool.reserve_servers_per_login"},
	"reserve_pool_timeout":        {key: "pool.reserve_after", as: inSeconds},
	"server_idle_timeout":         {key: "pool.idle_timeout", as: inSeconds},
	"server_lifetime":             {key: "pool.lifetime", as: inSeconds},
	"stats_users":                 {key: "admin.stats_users"},
	"verbose":                     {key: "log.level", as: func(v string) string { return map[bool]string{true: "info", false: "debug"}[isZero(v)] }},
}

func inSeconds(v string) string { return v + "s" }

// unbounded is a number, of which PgBouncer's 0 is no bound.
func unbounded(v string) string {
	if isZero(v) {
		return "auto"
	}
	return v
}

// Ours is the override that stands for a key of [pgbouncer] with this value; false: none does.
func Ours(a Assignment) (config.Override, bool) {
	k, ok := ours[a.Key]
	if !ok {
		return config.Override{}, false
	}
	value := a.Value
	if k.as != nil {
		if as := k.as(value); as != "" {
			value = as
		}
	}
	return config.OverrideOf(k.key, value, "SET "+a.Key), true
}
