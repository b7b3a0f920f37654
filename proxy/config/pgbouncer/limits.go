package pgbouncer

import (
	"strconv"
	"time"

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
	if n, ok := d.number("reserve_pool_size"); ok && c.reserves() {
		c.set(pool.child("reserve_servers_per_login"), strconv.Itoa(n), d.place("reserve_pool_size"))
	} else if n, ok := d.number("reserve_pool"); ok && c.reserves() {
		c.set(pool.child("reserve_servers_per_login"), strconv.Itoa(n), d.place("reserve_pool"))
	}
	if n, ok := d.number("min_pool_size"); ok {
		c.keepReady(pool, n, d.place("min_pool_size"))
	}
}

// reserves is true where there can be a reserve: with a time of 0 there is none.
func (c *converter) reserves() bool { return c.seconds("reserve_pool_timeout") > 0 }

// keepReady writes how many servers are kept ready, and once how.
func (c *converter) keepReady(pool *node, n int, at place) {
	key := c.set(pool.child("min_servers_per_login"), strconv.Itoa(n), at)
	if n == 0 {
		return
	}
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
	}
	if base.database > 0 {
		c.set(pool.child("max_servers_per_database"), auto(base.database), c.at("max_db_connections"))
	}
	if n := c.number("max_user_connections"); n > 0 {
		c.set(pool.child("max_servers_per_user"), auto(n), c.at("max_user_connections"))
	}
	if n := c.number("reserve_pool_size"); n > 0 && c.reserves() {
		c.set(pool.child("reserve_servers_per_login"), strconv.Itoa(n), c.at("reserve_pool_size"))
	}
	if d := c.seconds("reserve_pool_timeout"); d > 0 && d != 5*time.Second {
		c.set(pool.child("reserve_after"), config.Duration(d).String(), c.at("reserve_pool_timeout"))
	}
	if n := c.number("min_pool_size"); n > 0 {
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
	d := &database{entry: e, fields: fields}
	if size, ok := d.number("pool_size"); ok {
		c.set(n.child("max_servers_per_login"), auto(size), d.place("pool_size"))
	}
	if more, ok := d.number("reserve_pool_size"); ok && c.reserves() {
		c.set(n.child("reserve_servers_per_login"), strconv.Itoa(more), d.place("reserve_pool_size"))
	}
}

// auto is a number, or auto for 0.
func auto(n int) string {
	if n <= 0 {
		return "auto"
	}
	return strconv.Itoa(n)
}
