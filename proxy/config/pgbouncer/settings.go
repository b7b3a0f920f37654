package pgbouncer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgguard/proxy/config"
)

// kind is what a value of a key may be.
type kind uint8

const (
	text    kind = iota
	number       // as C writes it: 0x10 and 010 are numbers, too
	seconds      // with a fraction, at least 0
	word         // one of the key's words, in any case
	truth        // a number of which only 0 is no
)

// setting is one key of [pgbouncer].
type setting struct {
	key   string
	value string // its default
	kind  kind
	words string // of a word
	// says is why a line with this key means nothing here, or something else; empty: what becomes of the key is told where it is made.
	says string
	// same is what a line may say without being told of: where it is so here, too. Nil: nothing.
	same func(value string) bool
	// bad is why a line cannot be kept; empty: it can.
	bad string
}

// Lines of which nothing has to be said.
func anything(string) bool { return true }
func zero(v string) bool   { return isZero(v) }
func one(v string) bool    { return !isZero(v) }
func unset(v string) bool  { return v == "" }
func is(words ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(words, strings.ToLower(v)) }
}

func isZero(v string) bool {
	x, err := strconv.ParseFloat(v, 64)
	return err == nil && x == 0
}

const (
	modes     = "session transaction statement"
	sslmodes  = "disable allow prefer require verify-ca verify-full"
	authTypes = "any trust plain md5 cert hba ldap pam scram-sha-256"
	inKernel  = "the kernel's own value is used"
	noDNS     = "a name is looked up for each login to a server, by the system's resolver, and a change is noticed"
	noStats   = "there are no lines of statistics in the log; /metrics and /api/v1/state have them"
	goCiphers = "Go chooses among ciphers that are safe; there is no list"
)

// settings are all keys of [pgbouncer] of PgBouncer 1.25, in the order of its SHOW CONFIG.
var settings = []setting{
	{key: "admin_users", same: unset},
	{key: "application_name_add_host", value: "0", kind: truth, same: zero, says: "servers have the application_name of their clients as it is; the log and the pages name the addresses"},
	{key: "auth_dbname", same: anything},
	{key: "auth_file", same: anything},
	{key: "auth_hba_file", same: anything},
	{key: "auth_ident_file", same: anything},
	{key: "auth_ldap_options", bad: "there is no LDAP here: clients would come in unasked, or not at all", same: unset},
	{key: "auth_query", value: defaultAuthQuery, same: anything},
	{key: "auth_type", value: "md5", kind: word, words: authTypes, same: anything},
	{key: "auth_user", same: anything},
	{key: "autodb_idle_timeout", value: "3600", kind: seconds, says: "nothing is kept of a database that nobody uses"},
	{key: "cancel_wait_timeout", value: "10", kind: seconds, says: "cancel requests wait for nothing, and each is given 5 s"},
	{key: "client_idle_timeout", value: "0", kind: seconds, same: anything},
	{key: "client_login_timeout", value: "60", kind: seconds, same: anything},
	{key: "client_tls13_ciphers", says: goCiphers, same: unset},
	{key: "client_tls_ca_file", same: anything},
	{key: "client_tls_cert_file", same: anything},
	{key: "client_tls_ciphers", value: "default", says: goCiphers, same: is("default", "secure", "fast", "normal", "")},
	{key: "client_tls_dheparams", value: "auto", says: "Go has no DHE", same: is("auto", "none")},
	{key: "client_tls_ecdhcurve", value: "auto", says: "Go chooses the curve", same: is("auto")},
	{key: "client_tls_key_file", same: anything},
	{key: "client_tls_protocols", value: "secure", same: anything},
	{key: "client_tls_sslmode", value: "disable", kind: word, words: sslmodes, same: anything},
	{key: "conffile", says: "the file is the one that was named at the start"},
	{key: "default_pool_size", value: "20", kind: number, same: anything},
	{key: "disable_pqexec", value: "0", kind: truth, same: zero, bad: "the simple query protocol cannot be turned off here, so that several statements in one text would get through"},
	{key: "dns_max_ttl", value: "15", kind: seconds, says: noDNS},
	{key: "dns_nxdomain_ttl", value: "15", kind: seconds, says: noDNS},
	{key: "dns_zone_check_period", value: "0", kind: seconds, same: zero, says: noDNS},
	{key: "idle_transaction_timeout", value: "0", kind: seconds, same: anything},
	{key: "ignore_startup_parameters", same: unset, says: "parameters in a start-up packet are not ignored here: they hold for the client, as on a direct connection"},
	{key: "job_name", value: "pgbouncer", says: "there is no such name"},
	{key: "listen_addr", same: anything},
	{key: "listen_backlog", value: "128", kind: number, says: inKernel},
	{key: "listen_port", value: "6432", kind: number, same: anything},
	{key: "log_connections", value: "1", kind: truth, says: "a client has one line in the log, at its end; log.level: warn leaves those out"},
	{key: "log_disconnections", value: "1", kind: truth, same: one, says: "a client has one line in the log, at its end; log.level: warn leaves those out"},
	{key: "log_pooler_errors", value: "1", kind: truth, same: one, says: "refusals are counted, and events are in the log; log.level: error leaves those out"},
	{key: "log_stats", value: "1", kind: truth, same: zero, says: noStats},
	{key: "logfile", same: unset},
	{key: "max_client_conn", value: "100", kind: number, same: anything},
	{key: "max_db_client_connections", value: "0", kind: number, same: anything},
	{key: "max_db_connections", value: "0", kind: number, same: anything},
	{key: "max_packet_size", value: "2147483647", kind: number, same: is("2147483647"), says: "a message may be as long as PostgreSQL takes it, and is passed on as it comes"},
	{key: "max_prepared_statements", value: "200", kind: number, same: anything},
	{key: "max_user_client_connections", value: "0", kind: number, same: anything},
	{key: "max_user_connections", value: "0", kind: number, same: anything},
	{key: "min_pool_size", value: "0", kind: number, same: anything},
	{key: "peer_id", value: "0", kind: number, same: zero, says: "there is one process here, which cancels for its own clients: behind a balancer that spreads clients over several pgguards, cancel requests must come to the one that has the client"},
	{key: "pidfile", same: unset},
	{key: "pkt_buf", value: "4096", kind: number, says: "buffers are borrowed while something is under way, and grow"},
	{key: "pool_mode", value: "session", kind: word, words: modes, same: anything},
	{key: "query_timeout", value: "0", kind: seconds, same: anything},
	{key: "query_wait_notify", value: "5", kind: number, same: anything},
	{key: "query_wait_timeout", value: "120", kind: seconds, same: anything},
	{key: "reserve_pool_size", value: "0", kind: number, same: anything},
	{key: "reserve_pool_timeout", value: "5", kind: seconds, same: anything},
	{key: "resolv_conf", same: unset, says: noDNS},
	{key: "sbuf_loopcnt", value: "5", kind: number, says: "no connection holds up another"},
	{key: "scram_iterations", value: "4096", kind: number, says: "pgguard makes no secrets of passwords"},
	{key: "server_check_delay", value: "30", kind: seconds, says: "a server that has gone is noticed at once, without asking it"},
	{key: "server_check_query", value: "<empty>", says: "a server that has gone is noticed at once, without asking it"},
	{key: "server_connect_timeout", value: "15", kind: seconds, same: anything},
	{key: "server_fast_close", value: "0", kind: truth, same: zero, says: "a client in session mode keeps its server to its end"},
	{key: "server_idle_timeout", value: "600", kind: seconds, same: anything},
	{key: "server_lifetime", value: "3600", kind: seconds, same: anything},
	{key: "server_login_retry", value: "15", kind: seconds, says: "a login that failed is tried again after 50 ms, at most 1 s; a breaker keeps clients from waiting for a database that is dead"},
	{key: "server_reset_query", value: "DISCARD ALL", same: func(v string) bool { return strings.EqualFold(strings.TrimRight(v, "; "), "discard all") },
		says: "what a client leaves in its server is looked for and taken away, whatever it is; there is no query to choose"},
	{key: "server_reset_query_always", value: "0", kind: truth, says: "settings, prepared statements, temporary tables and locks are their client's in every mode here, and never another's", same: zero},
	{key: "server_round_robin", value: "0", kind: truth, same: zero, says: "the server that was used last is used first; behind a name with several addresses they are spread by logins alone"},
	{key: "server_tls13_ciphers", says: goCiphers, same: unset},
	{key: "server_tls_ca_file", same: anything},
	{key: "server_tls_cert_file", same: anything},
	{key: "server_tls_ciphers", value: "default", says: goCiphers, same: is("default", "secure", "fast", "normal", "")},
	{key: "server_tls_key_file", same: anything},
	{key: "server_tls_protocols", value: "secure", same: anything},
	{key: "server_tls_sslmode", value: "prefer", kind: word, words: sslmodes, same: anything},
	{key: "service_name", says: "there is no such name"},
	{key: "so_reuseport", value: "0", kind: truth, same: zero, says: "one pgguard uses all processors; start one in the place of the several, whose limits then hold for all"},
	{key: "stats_period", value: "60", kind: number, says: noStats},
	{key: "stats_users", same: unset},
	{key: "suspend_timeout", value: "10", kind: seconds, says: "SUSPEND waits for the statements that run, for as long as they take or its operator waits"},
	{key: "syslog", value: "0", kind: truth, same: zero, says: "the log goes to standard error; systemd brings it to the journal, logger(1) to syslog"},
	{key: "syslog_facility", value: "daemon", says: "the log goes to standard error"},
	{key: "syslog_ident", value: "pgbouncer", says: "the log goes to standard error"},
	{key: "tcp_defer_accept", value: "1", kind: truth, says: "a client is taken when it has connected, and bounded until it has logged in"},
	{key: "tcp_keepalive", value: "1", kind: truth, same: anything},
	{key: "tcp_keepcnt", value: "0", kind: number, same: anything},
	{key: "tcp_keepidle", value: "0", kind: number, same: anything},
	{key: "tcp_keepintvl", value: "0", kind: number, same: anything},
	{key: "tcp_socket_buffer", value: "0", kind: number, same: zero, says: inKernel},
	{key: "tcp_user_timeout", value: "0", kind: number, same: anything},
	{key: "track_extra_parameters", value: "IntervalStyle", says: "every setting follows its client here, reported or not", same: anything},
	{key: "transaction_timeout", value: "0", kind: seconds, same: anything},
	{key: "unix_socket_dir", value: "/tmp", same: anything},
	{key: "unix_socket_group", same: unset},
	{key: "unix_socket_mode", value: "0777", kind: number, same: anything},
	{key: "user", same: unset},
	{key: "verbose", value: "0", kind: number, same: anything},
}

// settingOf is the key of this name; nil: PgBouncer does not know it.
func settingOf(key string) *setting {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		return nil
	}
	return &settings[i]
}

// fixed is true for a key that is read at the start alone.
func (s *setting) fixed() bool {
	switch s.key {
	case "conffile", "job_name", "service_name", "listen_addr", "listen_port", "listen_backlog", "logfile", "pidfile", "user", "peer_id", "pkt_buf", "resolv_conf", "so_reuseport",
		"unix_socket_dir", "unix_socket_group", "unix_socket_mode":
		return true
	}
	return false
}

// check says what is wrong with a value, "" if nothing is.
func (s *setting) check(value string) string {
	switch s.kind {
	case number, truth:
		if _, err := parseNumber(value); err != nil {
			return fmt.Sprintf("%q is not a whole number", value)
		}
	case seconds:
		if _, err := parseSeconds(value); err != nil {
			return fmt.Sprintf("%q is not a number of seconds", value)
		}
	case word:
		if !slices.Contains(strings.Fields(s.words), strings.ToLower(value)) {
			return fmt.Sprintf("%q is not one of %s", value, strings.Join(strings.Fields(s.words), ", "))
		}
	}
	return ""
}

// parseNumber reads a number as C does: with 0x in front it is hexadecimal, with 0 octal.
func parseNumber(value string) (int, error) {
	if strings.ContainsAny(value, "_oOb") && !strings.HasPrefix(strings.ToLower(value), "0x") {
		return 0, strconv.ErrSyntax // Go's own ways
	}
	n, err := strconv.ParseInt(value, 0, 64)
	if err != nil || n > 1<<31-1 || n < -1<<31 {
		return 0, strconv.ErrSyntax
	}
	return int(n), nil
}

// parseSeconds reads a time.
func parseSeconds(value string) (time.Duration, error) {
	x, err := strconv.ParseFloat(value, 64)
	if err != nil || !(x >= 0 && x < 1e9) {
		return 0, strconv.ErrSyntax
	}
	return time.Duration(x * float64(time.Second)), nil
}

// unknownKey is the fault of a key that PgBouncer does not know.
func unknownKey(e entry) config.Fault {
	return e.at.fault(e.key, "is no setting of PgBouncer 1.25 in [%s]", e.section)
}

// lower is a word in small letters.
func lower(s string) string { return strings.ToLower(s) }

// protocols are the oldest and the newest of a list of versions of TLS, 1.0 being 0; false: it is no such list.
func protocols(list string) (least, most int, ok bool) {
	least, most = 4, -1
	for _, w := range words(strings.ReplaceAll(list, ":", ",")) {
		from, to := 0, 3
		switch w = lower(w); w {
		case "all", "legacy":
		case "secure", "default":
			from = 2
		default:
			n, err := strconv.Atoi(strings.TrimPrefix(w, "tlsv1."))
			if err != nil || n < 0 || n > 3 || !strings.HasPrefix(w, "tlsv1.") {
				return 0, 0, false
			}
			from, to = n, n
		}
		least, most = min(least, from), max(most, to)
	}
	return least, most, most >= 0
}
