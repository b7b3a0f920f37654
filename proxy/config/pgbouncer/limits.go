package pgbouncer

import (
	"strconv"

	"pgguard/proxy/config"
)

// fieldsOfUser are those of a line in [users].
var fieldsOfUser = []field{
	{key: "pool_mode", kind: word, words: modes, says: "a mode is that of a database, whoever the user is"},
	{key: "pool_size", kind: number}, {key: "reserve_pool_size", kind: number}, {key: "max_user_connections", kind: number},
	{key: "transaction_timeout", kind: number},
	{key: "idle_transaction_timeout", kind: number},
	{key: "query_timeout", kind: number},
	{key: "client_idle_timeout", kind: number},
	{key: "max_user_client_connections", kind: number},
}

// base is what holds for databases and users that say nothing of their own.
func (c *converter) base() limit {
	return c.limitOf(&database{})
}

// limit writes how many servers a database may have, where that is not what holds for all.
func (c *converter) limit(d *database, pool *node, l limit) {
	base := c.base()
	if l.login != base.login {
		at := d.place("pool_size")
		c.set(pool.child("max_servers_per_login"), auto(l.login), at)
	}
	if l.database != base.database {
		c.set(pool.child("max_servers"), auto(l.database), d.place("max_db_connections"))
	}
	if n := c.readyOf(d); n != c.ready() {
		at := d.fields["min_pool_size"].valueAt
		if at.line == 0 {
			at = c.at("min_pool_size")
		}
		c.keepReady(pool, n, at)
	}
}

// ready is how many servers are kept ready where a database says nothing. One that is to have none cannot say so beside that number: then each has its own.
func (c *converter) ready() int {
	for _, d := range c.listed {
		if n, err := parseNumber(d.text("min_pool_size", "-1")); err == nil && n == 0 {
			return 0
		}
	}
	return max(0, c.number("min_pool_size"))
}

// readyOf is how many are kept ready in a database.
func (c *converter) readyOf(d *database) int {
	if n, err := parseNumber(d.text("min_pool_size", "-1")); err == nil && n >= 0 {
		return n
	}
	return max(0, c.number("min_pool_size"))
}

// keepReady writes how many servers are kept ready, and once how.
func (c *converter) keepReady(pool *node, n int, at place) {
	key := c.set(pool.child("min_servers_per_login"), strconv.Itoa(n), at)
	c.remarkOnce(key, at, "min_pool_size", "is kept by several logins at a time, in no other server's place, and not while anybody waits; when the last client has left, as server_idle_timeout says")
}

// userLimits writes how many servers there may be, for all and for each user who has limits of his own.
func (c *converter) userLimits() {
	base, pool := c.base(), c.root.child("pool")
	if base.login > 0 {
		n := c.set(pool.child("max_servers_per_login"), auto(base.login), c.at("default_pool_size"))
		if c.at("default_pool_size").line == 0 {
			n.remarks = append(n.remarks, "default_pool_size: 20 is PgBouncer's default, for each pair of user and database; pgguard finds the right number below it")
		}
		if e, ok := c.main["reserve_pool_size"]; ok && c.number("reserve_pool_size") > 0 {
			c.remark(n, e.at, e.key, "is in this number: it is an upper bound, and pgguard finds the right number below it")
		}
	}
	if base.database > 0 {
		c.set(pool.child("max_servers_per_database"), auto(base.database), c.at("max_db_connections"))
	}
	if n := c.number("max_user_connections"); n > 0 {
		c.set(pool.child("max_servers_per_user"), auto(n), c.at("max_user_connections"))
	}
	if n := c.ready(); n > 0 {
		c.keepReady(pool, n, c.at("min_pool_size"))
	}
	for _, e := range c.file.entries {
		if e.section != sectionUsers {
			continue
		}
		if fields, ok := c.fieldsOf(e, fieldsOfUser, "a user"); ok {
			c.user(e, fields)
		}
	}
}

// most writes how many clients a database or a user has, where its line says so.
func (c *converter) most(n *node, p pair) {
	if most, _ := parseNumber(p.value); most > 0 {
		c.set(n.child("max_clients"), auto(most), p.valueAt)
	}
}

// timeouts are PgBouncer's times after which clients are disconnected, and what each is called here.
var timeouts = []struct{ theirs, ours string }{
	{"query_timeout", "statement"}, {"transaction_timeout", "transaction"}, {"idle_transaction_timeout", "idle_in_transaction"}, {"client_idle_timeout", "idle"},
}

// user writes what is special about one.
func (c *converter) user(e entry, fields map[string]pair) {
	n := c.root.child("users").child(e.key)
	for _, f := range fieldsOfUser {
		if p, ok := fields[f.key]; ok && f.says != "" {
			c.remark(n, p.at, e.key+" "+f.key, "%s", f.says)
		}
	}
	if p, ok := fields["max_user_connections"]; ok {
		most, _ := parseNumber(p.value)
		c.set(n.child("max_servers"), auto(most), p.valueAt)
	}
	c.most(n, fields["max_user_client_connections"])
	for _, t := range timeouts {
		if p := fields[t.theirs]; p.value != "" {
			if d, _ := parseSeconds(p.value); d > 0 {
				c.set(n.child("disconnect_after").child(t.ours), config.Duration(d).String(), p.valueAt)
			}
		}
	}
	p, ok := fields["pool_size"]
	if _, more := fields["reserve_pool_size"]; !ok && !more {
		return
	}
	d := &database{entry: e, fields: fields}
	size := c.limitOf(d).login
	at := d.place("reserve_pool_size")
	if ok {
		at = p.valueAt
	}
	c.set(n.child("max_servers_per_login"), auto(size), at)
}

// auto is a number, or auto for 0.
func auto(n int) string {
	if n <= 0 {
		return "auto"
	}
	return strconv.Itoa(n)
}
