package pgbouncer

import (
	"regexp"
	"slices"
	"strings"

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

// believed writes the rules for auth types by which clients tell no password: they know the users of the auth_file, and no others.
func (c *converter) believed(a *node, kind string) {
	at := c.at("auth_type")
	method := map[string]string{"any": "trust", "trust": "trust", "cert": "cert"}[kind]
	users := ""
	switch _, asks := c.given("auth_user"); {
	case kind == "any":
		for _, e := range c.file.entries {
			if pairs, _ := pairsOf(e); e.section == sectionDatabases && !slices.ContainsFunc(pairs, func(p pair) bool { return p.key == "user" }) {
				c.bad(e.at, e.key, "has no user, which auth_type = any needs")
			}
		}
	case asks:
		c.remark(a, at, "auth_type", "users that are not in the auth_file are PostgreSQL's, which refuses those that it does not know")
	case len(c.users) > 0:
		users = "user: " + flow(c.users) + ", "
	default:
		c.bad(c.where[""], "auth_file", "is missing, or empty: nobody could come in with auth_type = %s", kind)
	}
	if users == "" && c.value("auth_file") == "" {
		c.set(a.child("method"), method, at)
		return
	}
	rules := a.child("rules")
	if users != "" {
		c.remark(rules, at, "auth_type", "these are the users of the auth_file now; one that is added there must be added here")
	}
	c.from(rules, at)
	rules.item("{" + users + "method: " + method + "}")
	rules.item("{database: replication, " + users + "method: " + method + "}")
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

// side is the user by which pgguard looks at a server, where the line of a database names none: it must be one whose password is known.
func (c *converter) side(n *node) string {
	candidates := append([]string{c.value("auth_user")}, words(c.value("admin_users"))...)
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

// lookups says how users are looked up that are in no file: in one way for all databases.
func (c *converter) lookups(list []*database) {
	users := map[string]place{}
	queries := map[string]place{}
	names := map[string]place{}
	for _, d := range list {
		note := func(to map[string]place, key string) {
			if p, ok := d.fields[key]; ok {
				to[p.value] = p.valueAt
			} else if e, ok := c.given(key); ok {
				to[e.value] = e.valueAt
			}
		}
		note(users, "auth_user")
		note(queries, "auth_query")
		note(names, "auth_dbname")
	}
	a := c.root.child("auth")
	for key, found := range map[string]map[string]place{"auth_user": users, "auth_query": queries, "auth_dbname": names} {
		if len(found) > 1 {
			for _, at := range found {
				c.bad(at, key, "cannot be kept: there is one for all databases, and the lines name %d", len(found))
			}
			return
		}
	}
	if kind := c.lower("auth_type"); len(users) == 0 || kind == "trust" || kind == "any" || kind == "cert" {
		return
	}
	for user, at := range users {
		c.set(a.child("query_user"), quote(user), at)
	}
	c.query(a, queries)
	for name, at := range names {
		i := slices.IndexFunc(list, func(d *database) bool { return d.key == name })
		if i >= 0 {
			name = list[i].text("dbname", name)
		}
		c.set(a.child("query_database"), quote(name), at)
		c.remark(a.child("query_database"), at, "auth_dbname", "is the name at the server; each server is asked for the users of its own databases")
	}
}

// query writes what is asked.
func (c *converter) query(a *node, queries map[string]place) {
	n := a.child("query")
	if len(queries) == 0 {
		c.set(n, "auto", c.at("auth_user"))
		n.remarks = append(n.remarks, "auth_query: auto asks pg_authid, as PgBouncer's default does, or the function that pgguard auth-query prints, or pgbouncer.get_auth")
	}
	for text, at := range queries {
		if m := aCall.FindStringSubmatch(text); m != nil {
			c.bad(at, "auth_query", "%s must be named with its schema, such as public.%s: names are looked for in pg_catalog alone", m[1], m[1])
		}
		c.set(n, quote(strings.TrimSpace(text)), at)
		c.remark(n, at, "auth_query", "is asked in auth.query_database, else in the database of the upstream: PgBouncer asks in each database")
	}
}
