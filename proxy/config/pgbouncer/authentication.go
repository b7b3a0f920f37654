package pgbouncer

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"pgguard/proxy"
	"pgguard/proxy/auth"
)

// defaultAuthQuery is what PgBouncer asks where auth_user is given alone.
const defaultAuthQuery = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin"

// auth says who may come in.
func (c *converter) auth() {
	a, at := c.root.child("auth"), c.at("auth_type")
	kind := c.lower("auth_type")
	c.from(a, at)
	if file, ok := c.given("auth_file"); ok {
		c.set(a.child("users_file"), quote(file.value), file.valueAt)
	}
	switch kind {
	case "hba":
		c.rules(a)
	case "ldap", "pam":
		c.bad(at, "auth_type", "cannot be kept: %s is not available here", kind)
	case "any", "trust", "cert":
		c.believed(a, kind)
	case "plain":
		c.set(a.child("method"), "password", at)
	default: // md5, scram-sha-256
		c.set(a.child("method"), kind, at)
	}
	if kind == "md5" && at.line == 0 {
		a.child("method").remarks = append(a.child("method").remarks, "auth_type: md5 is PgBouncer's default; who has a SCRAM secret proves it by SCRAM")
	}
	if kind != "hba" {
		for _, key := range []string{"auth_hba_file", "auth_ident_file"} {
			if e, ok := c.given(key); ok {
				c.remark(a, e.at, key, "is not used: auth_type is not hba")
			}
		}
	}
	if c.insecure {
		n := c.set(a.child("insecure"), "true", c.at("listen_addr"))
		c.remark(n, c.at("listen_addr"), "listen_addr", "others on the network may see what clients send, or come in without proof, as with PgBouncer; without this line pgguard asks for TLS (tls.mode: require)")
	}
}

// believed writes the rules for auth types by which clients tell no password: as in PgBouncer they are known nevertheless, from the auth_file or the database.
func (c *converter) believed(a *node, kind string) {
	at := c.at("auth_type")
	method := map[string]string{"any": "trust", "trust": "trust", "cert": "cert"}[kind]
	if kind == "any" {
		for _, e := range c.file.entries {
			if pairs, _ := pairsOf(e); e.section == sectionDatabases && !slices.ContainsFunc(pairs, func(p pair) bool { return p.key == "user" }) {
				c.bad(e.at, e.key, "has no user, which auth_type = any needs")
			}
		}
		if c.value("auth_file") == "" {
			c.set(a.child("method"), method, at)
			return
		}
	} else {
		if len(c.users) == 0 && !c.looksUp {
			c.bad(c.where[""], "auth_file", "is missing, or empty: nobody could come in with auth_type = %s", kind)
		}
		method += ", known: true"
	}
	rules := a.child("rules")
	c.from(rules, at)
	rules.item("{method: " + method + "}")
	rules.item("{database: replication, method: " + method + "}")
}

// readUsers reads the names in the auth_file.
func (c *converter) readUsers() {
	e, ok := c.given("auth_file")
	if !ok || c.lower("auth_type") == "pam" {
		return
	}
	text, err := c.open(e.value)
	if err != nil {
		c.bad(e.valueAt, e.key, "%v", err)
		return
	}
	secrets, err := auth.ParseUsers(text)
	if err != nil {
		c.bad(e.valueAt, e.key, "%s: %v", e.value, err)
		return
	}
	for name, s := range secrets {
		c.users = append(c.users, name)
		c.known[name] = s.IsPlain() || s.IsMD5()
	}
	slices.Sort(c.users)
}

// side is the user by which pgguard looks at a server, where the line of a database forces none: its auth_user, or one whose password is known.
func (c *converter) side(n *node, own string) string {
	candidates := append([]string{cmp.Or(own, c.value("auth_user"))}, words(c.value("admin_users"))...)
	candidates = append(append(candidates, words(c.value("stats_users"))...), c.users...)
	for i, name := range candidates {
		if name != "" && (c.known[name] || i == 0) {
			if !c.told {
				n.remarks = append(n.remarks, "user: of pgguard's own connection to the server, which PgBouncer has none of; clients log in as who they are")
			}
			c.told = true
			return name
		}
	}
	n.remarks = append(n.remarks, "pgguard has a connection of its own to the server, by which it reads the server's limits and load. "+
		"Name a user for it here (user=…, password=…); without one it is the system's user")
	return ""
}

// aCall finds a function without a schema that is selected from.
var aCall = regexp.MustCompile(`(?i)\b(?:from|join)\s+([a-z_][a-z0-9_]*)\s*\(`)

// lookups says how users are looked up that are in no file.
func (c *converter) lookups(list []*database) {
	if c.lower("auth_type") == "any" {
		return
	}
	a := c.root.child("auth")
	if e, ok := c.given("auth_user"); ok {
		c.looksUp = true
		c.set(a.child("query_user"), quote(e.value), e.valueAt)
		given, is := c.given("auth_query")
		spare := len(list) > 0 && !slices.ContainsFunc(list, func(d *database) bool { return d.fields["auth_query"].key == "" })
		if is && spare && !strings.Contains(given.value, "$1") {
			c.remark(a, given.at, "auth_query", "has no $1, so that it is about nobody; each database has one of its own")
		} else {
			c.query(a, pair{value: given.value, valueAt: given.valueAt}, is)
		}
	}
	for _, d := range list {
		c.lookup(d, list)
	}
	e, ok := c.given("auth_dbname")
	switch {
	case !ok:
	case e.value == "pgbouncer":
		c.bad(e.valueAt, "auth_dbname", "cannot use the reserved %q database as an auth_dbname", e.value)
	case c.looksUp:
		c.queryAt(a, pair{value: e.value, valueAt: e.valueAt}, list)
	}
}

// queryAt writes in which of the databases users are looked up.
func (c *converter) queryAt(a *node, p pair, list []*database) {
	n := c.set(a.child("query_at"), quote(p.value), p.valueAt)
	if !slices.ContainsFunc(list, func(d *database) bool { return d.key == p.value || d.key == proxy.AnyDatabase }) {
		c.remark(n, p.valueAt, "auth_dbname", "%q is no database here: who is to be looked up there is refused", p.value)
	}
}

// lookup says how users of one database are looked up, where that is not as it is for all.
func (c *converter) lookup(d *database, list []*database) {
	general, all := c.given("auth_user")
	user, own := d.fields["auth_user"]
	if !all && !own {
		for _, key := range []string{"auth_query", "auth_dbname"} {
			if p, ok := d.fields[key]; ok {
				c.remark(c.root.child("databases").child(d.key), p.at, d.key+" "+key, "there is no auth_user, who would ask")
			}
		}
		return
	}
	c.looksUp = true
	n := c.root.child("databases").child(d.key).child("auth")
	if own && user.value != general.value {
		c.set(n.child("query_user"), quote(user.value), user.valueAt)
	}
	query, is := d.fields["auth_query"]
	if !is && !all {
		var e entry
		e, is = c.given("auth_query")
		query = pair{value: e.value, valueAt: e.valueAt}
	}
	if is || !all {
		c.query(n, query, is)
	}
	if p, ok := d.fields["auth_dbname"]; ok {
		c.queryAt(n, p, list)
	}
}

// query writes what is asked; given: a line says it.
func (c *converter) query(a *node, q pair, given bool) {
	n := a.child("query")
	if !given {
		c.set(n, "auto", c.at("auth_user"))
		if !c.once["auto"] {
			n.remarks = append(n.remarks, "auth_query: auto asks pg_authid, as PgBouncer's default does, or the function that pgguard auth-query prints, or pgbouncer.get_auth")
		}
		c.once["auto"] = true
		return
	}
	if m := aCall.FindStringSubmatch(q.value); m != nil && !c.once[q.valueAt.String()] {
		c.once[q.valueAt.String()] = true
		c.bad(q.valueAt, "auth_query", "%s must be named with its schema, such as public.%s: names are looked for in pg_catalog alone", m[1], m[1])
	}
	c.set(n, quote(strings.TrimSpace(q.value)), q.valueAt)
	c.remarkOnce(n, q.valueAt, "auth_query", "is asked in query_at, else in the database of the upstream: PgBouncer asks in each database")
}
