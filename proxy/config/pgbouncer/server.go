package pgbouncer

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"pgguard/proxy/config"
)

// listen says where clients connect to.
func (c *converter) listen() {
	list := c.root.child("listen")
	at, port := c.at("listen_port"), strconv.Itoa(c.number("listen_port"))
	if a := c.at("listen_addr"); a.line > 0 {
		at = a
	}
	c.from(list, at)
	for _, host := range words(c.value("listen_addr")) {
		if host == "*" {
			host = ""
		}
		c.from(list.item(strconv.Quote(net.JoinHostPort(host, port))), at)
	}
	c.socket(list, port)
	if len(list.kids) == 0 && len(c.faults) == 0 {
		c.bad(place{c.where[""].file, 1, 1}, "listen_addr", "there is neither a listen_addr nor a unix_socket_dir: nobody could connect")
	}
}

// socket says where the unix socket is. Its port is that of the first TCP address; where there is none, it is the default.
func (c *converter) socket(list *node, port string) {
	dir := c.value("unix_socket_dir")
	switch {
	case dir == "":
		return
	case dir[0] == '@':
		c.bad(c.at("unix_socket_dir"), "unix_socket_dir", "cannot be kept: pgguard does not listen on an abstract socket; give a directory")
		return
	case len(list.kids) == 0 && port != "6432":
		c.bad(c.at("listen_port"), "listen_port", "cannot be kept: with a unix socket alone its port is 6432; give a listen_addr, such as 127.0.0.1")
		return
	}
	text := fmt.Sprintf(`{addr: %s, socket_mode: "%04o"`, strconv.Quote("unix:"+dir), c.number("unix_socket_mode")&0o777)
	if e, ok := c.given("unix_socket_group"); ok {
		text += ", socket_group: " + quote(e.value)
	}
	n := list.item(text + "}")
	c.from(n, c.at("unix_socket_dir"))
	if c.at("unix_socket_dir").line == 0 {
		n.remarks = append(n.remarks, "unix_socket_dir: this is PgBouncer's default")
	}
}

// pool says how long servers are lent and kept, and how many there may be.
func (c *converter) pool() {
	p := c.root.child("pool")
	mode := p.child("mode")
	c.set(mode, c.lower("pool_mode"), c.at("pool_mode"))
	if c.at("pool_mode").line == 0 {
		mode.remarks = append(mode.remarks, "pool_mode: session is PgBouncer's default; transaction shares servers between transactions, and nothing of a session is lost by it here")
	}
	if d := c.seconds("server_idle_timeout"); d != 10*time.Minute {
		c.set(p.child("idle_timeout"), config.Duration(d).String(), c.at("server_idle_timeout"))
	}
	switch d := c.seconds("server_lifetime"); d {
	case time.Hour:
	case 0:
		n := c.set(p.child("lifetime"), "1ms", c.at("server_lifetime"))
		c.remark(n, c.at("server_lifetime"), "server_lifetime", "0 is for a server that is used once, which is not what 0s means here")
	default:
		c.set(p.child("lifetime"), config.Duration(d).String(), c.at("server_lifetime"))
	}
	switch n := c.number("max_prepared_statements"); {
	case n == 0:
		c.remark(p, c.at("max_prepared_statements"), "max_prepared_statements", "prepared statements always work here; 0 does not turn that off")
	case n != 200:
		c.set(p.child("max_prepared_statements"), strconv.Itoa(n), c.at("max_prepared_statements"))
	}
}

// lower is a word as pgguard writes it.
func (c *converter) lower(key string) string {
	return lower(c.value(key))
}

// clients says how many there may be.
func (c *converter) clients() {
	n := c.set(c.root.child("max_clients"), strconv.Itoa(c.number("max_client_conn")), c.at("max_client_conn"))
	if c.at("max_client_conn").line == 0 {
		n.remarks = append(n.remarks, "max_client_conn: 100 is PgBouncer's default; an idle client costs about 7 KiB here")
	}
	for _, k := range []struct{ theirs, ours string }{
		{"max_db_client_connections", "max_clients_per_database"}, {"max_user_client_connections", "max_clients_per_user"},
	} {
		if most := c.number(k.theirs); most > 0 {
			c.set(c.root.child(k.ours), auto(most), c.at(k.theirs))
		}
	}
	for _, t := range timeouts {
		if d := c.seconds(t.theirs); d > 0 {
			c.set(c.root.child("disconnect_after").child(t.ours), config.Duration(d).String(), c.at(t.theirs))
		}
	}
	switch d := c.seconds("client_login_timeout"); d {
	case time.Minute:
	case 0:
		c.remark(c.root.child("login_timeout"), c.at("client_login_timeout"), "client_login_timeout", "a login always has a bound here: 1m, the default")
	default:
		c.set(c.root.child("login_timeout"), config.Duration(d).String(), c.at("client_login_timeout"))
	}
}

// log says how much is logged.
func (c *converter) log() {
	if c.number("verbose") > 0 {
		c.set(c.root.child("log").child("level"), "debug", c.at("verbose"))
	}
}

// always is how long a client waits that PgBouncer lets wait without a bound: nobody is still there.
const always = 24 * time.Hour

// classes says how long clients wait: the built-in classes, with PgBouncer's time.
func (c *converter) classes() {
	n, at := c.root.child("classes"), c.at("query_wait_timeout")
	most := c.seconds("query_wait_timeout")
	const kept = "who waits longer has an ERROR, and keeps its connection; without these classes pgguard's own times hold, 5 s and 30 s (low, Sidekiq)"
	switch {
	case most == 0:
		most = always
		c.remark(n, at, "query_wait_timeout", "a wait always has a bound here, which is a day then; %s", kept)
	case at.line == 0:
		n.remarks = append(n.remarks, "query_wait_timeout: 120 s is PgBouncer's default; "+kept)
	default:
		c.remark(n, at, "query_wait_timeout", "%s", kept)
	}
	c.from(n, at)
	wait := config.Duration(most).String()
	n.item("{name: high, weight: 4, max_wait: " + wait + ", interactive: true}")
	n.item("{name: low, weight: 1, max_wait: " + wait + `, max_share: 0.75, match: [{application_name: '(^|/)sidekiq(\s|$)'}]}`)
	if d := c.seconds("query_wait_notify"); d > 0 && c.at("query_wait_notify").line > 0 {
		n := c.set(c.root.child("notice_after"), config.Duration(d).String(), c.at("query_wait_notify"))
		c.remark(n, c.at("query_wait_notify"), "query_wait_notify", "who waits is told what is wrong, if anything is, in words that name applications and tables; "+
			"pgguard serve --pgbouncer has PgBouncer's words in their place")
	}
}

// tls says how clients come over TLS.
func (c *converter) tls() {
	t, at := c.root.child("tls"), c.at("client_tls_sslmode")
	mode := map[string]string{"allow": "allow", "prefer": "allow", "require": "require", "verify-ca": "verify-ca", "verify-full": "verify-ca"}[c.lower("client_tls_sslmode")]
	if mode == "" {
		for _, key := range []string{"client_tls_cert_file", "client_tls_key_file", "client_tls_ca_file"} {
			if e, ok := c.given(key); ok {
				c.remark(nil, e.at, key, "is not used: client_tls_sslmode is disable")
			}
		}
		return
	}
	c.from(t, at)
	c.set(t.child("mode"), mode, at)
	for _, k := range []struct{ theirs, ours string }{
		{"client_tls_cert_file", "cert"}, {"client_tls_key_file", "key"}, {"client_tls_ca_file", "client_ca"},
	} {
		if e, ok := c.given(k.theirs); ok {
			c.set(t.child(k.ours), quote(e.value), e.valueAt)
		}
	}
	least, _, ok := protocols(c.value("client_tls_protocols"))
	switch {
	case !ok:
		c.bad(c.at("client_tls_protocols"), "client_tls_protocols", "%q is not a list of tlsv1.0, tlsv1.1, tlsv1.2 and tlsv1.3, nor all, secure or legacy", c.value("client_tls_protocols"))
	case least == 3:
		c.bad(c.at("client_tls_protocols"), "client_tls_protocols", "cannot be kept: clients may use TLS 1.2, too, here")
	case least < 2:
		c.remark(t.child("mode"), c.at("client_tls_protocols"), "client_tls_protocols", "TLS 1.2 is the least here")
	}
}

// admin says who may come to the console.
func (c *converter) admin() {
	a := c.root.child("admin")
	for _, k := range []struct{ theirs, ours string }{{"admin_users", "users"}, {"stats_users", "stats_users"}} {
		if e, ok := c.given(k.theirs); ok {
			c.set(a.child(k.ours), flow(words(e.value)), e.valueAt)
		}
	}
	if e, ok := c.main["auth_type"]; ok && c.lower("auth_type") == "any" {
		c.remark(a, e.at, "auth_type", "with any, PgBouncer takes everybody for an admin; here an admin is who is named as one")
	}
}
