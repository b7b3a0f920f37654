package pgbouncer

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"pgguard/proxy/config"
)

// field is one key of a connection string.
type field struct {
	key   string
	kind  kind
	words string
	says  string // why it means nothing here; empty: it means something
}

const ofClient = "it is given to servers for clients that do not choose their own"

// fieldsOfDatabase are those of a line in [databases].
var fieldsOfDatabase = []field{
	{key: "dbname"}, {key: "host"}, {key: "port", kind: number}, {key: "user"}, {key: "password"},
	{key: "auth_user"}, {key: "auth_dbname"}, {key: "auth_query"},
	{key: "client_encoding"}, {key: "datestyle"}, {key: "timezone"}, {key: "connect_query"},
	{key: "application_name", says: "servers have the application_name of their clients"},
	{key: "pool_size", kind: number}, {key: "reserve_pool", kind: number}, {key: "reserve_pool_size", kind: number},
	{key: "max_db_connections", kind: number},
	{key: "min_pool_size", kind: number},
	{key: "max_db_client_connections", kind: number},
	{key: "server_lifetime", kind: number},
	{key: "load_balance_hosts", kind: word, words: "disable round-robin"},
	{key: "pool_mode", kind: word, words: modes},
}

// database is one line of [databases].
type database struct {
	entry
	fields map[string]pair
}

// text is the value of a field, or another where it is not given.
func (d *database) text(key, other string) string {
	if p, ok := d.fields[key]; ok {
		return p.value
	}
	return other
}

// at is where a field is; the line, if it is not given.
func (d *database) place(key string) place {
	if p, ok := d.fields[key]; ok {
		return p.valueAt
	}
	return d.at
}

// fieldsOf reads a connection string and checks its fields; of one that is there twice the last counts.
func (c *converter) fieldsOf(e entry, known []field, what string) (map[string]pair, bool) {
	pairs, fault := pairsOf(e)
	if fault != nil {
		c.faults = append(c.faults, *fault)
		return nil, false
	}
	out := map[string]pair{}
	for _, p := range pairs {
		i := 0
		for i < len(known) && known[i].key != p.key {
			i++
		}
		if i == len(known) {
			c.bad(p.at, e.key, "%s is no setting of %s of PgBouncer 1.25", p.key, what)
			continue
		}
		s := setting{key: p.key, kind: known[i].kind, words: known[i].words}
		if wrong := s.check(p.value); wrong != "" {
			c.bad(p.valueAt, e.key, "%s: %s", p.key, wrong)
		}
		out[p.key] = p
	}
	return out, true
}

// databases says where each database is, and what is special about it.
func (c *converter) databases() {
	var list []*database
	for _, e := range c.file.entries {
		if e.section != sectionDatabases {
			continue
		}
		if e.key == "pgbouncer" || e.key == "pgguard" {
			c.bad(e.at, e.key, "is the name of the console")
			continue
		}
		if fields, ok := c.fieldsOf(e, fieldsOfDatabase, "a database"); ok {
			list = append(list, &database{e, fields})
		}
	}
	if len(list) == 0 && len(c.faults) == 0 {
		c.bad(place{c.where[""].file, 1, 1}, "[databases]", "there is none: nobody could be served")
	}
	for _, d := range list {
		c.database(d)
	}
	c.lookups(list)
}

// database writes one.
func (c *converter) database(d *database) {
	n := c.root.child("databases").child(d.key)
	up := n.child("upstream")
	if d.key == "*" {
		up = c.root.child("upstream")
		if d.fields["dbname"].value != "" {
			c.bad(d.place("dbname"), "*", "cannot be kept: every name would be one database; name the databases that there are")
		}
	}
	for _, f := range fieldsOfDatabase {
		if p, ok := d.fields[f.key]; ok && f.says != "" {
			c.remark(n, p.at, d.key+" "+f.key, "%s", f.says)
		}
	}
	c.set(up, strconv.Quote(c.dsn(d, up)), d.at)
	c.from(n, d.at)
	if p, ok := d.fields["user"]; ok {
		c.set(n.child("user"), quote(p.value), p.valueAt)
	}
	if p, ok := d.fields["password"]; ok && d.fields["user"].key == "" {
		c.remark(n, p.at, d.key+" password", "PgBouncer uses it only with a user beside it")
	}
	if p, ok := d.fields["pool_mode"]; ok && lower(p.value) != c.lower("pool_mode") {
		c.set(n.child("pool").child("mode"), lower(p.value), p.valueAt)
	}
	c.settings(d, n)
	c.limit(d, n.child("pool"), c.limitOf(d))
	c.most(n, d.fields["max_db_client_connections"])
	if p := d.fields["server_lifetime"]; p.value != "" {
		if life, _ := parseSeconds(p.value); life > 0 {
			c.set(n.child("pool").child("lifetime"), config.Duration(life).String(), p.valueAt)
		}
	}
}

// dsn is the upstream of a database, in the words of libpq.
func (c *converter) dsn(d *database, n *node) string {
	var b strings.Builder
	add := func(key, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key + "=" + quoteDSN(value))
	}
	host := d.text("host", c.value("unix_socket_dir"))
	if host == "" {
		c.bad(d.at, d.key, "has no host, and there is no unix_socket_dir in its place")
		return ""
	}
	add("host", host)
	add("port", d.text("port", "5432"))
	if strings.Contains(host, ",") && lower(d.text("load_balance_hosts", "round-robin")) != "disable" {
		add("load_balance_hosts", "random")
		c.remark(n, d.place("host"), d.key+" host", "PgBouncer spreads servers over the hosts; here all of a pgguard's are at one, and the next serves when it cannot be reached. "+
			"Each pgguard begins with another")
	}
	if _, forced := d.fields["user"]; forced {
		add("user", d.text("user", ""))
		add("password", d.text("password", ""))
	} else {
		add("user", c.side(n, d.text("auth_user", "")))
	}
	name := d.text("dbname", d.key)
	if d.key == "*" {
		name = c.text("auth_dbname", "postgres")
	}
	add("dbname", name)
	wait := max(time.Second, c.seconds("server_connect_timeout"))
	add("connect_timeout", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	if !strings.HasPrefix(host, "/") && !strings.HasPrefix(host, "@") {
		c.security(add, n)
		c.keepalive(add)
	}
	return b.String()
}

// text is the value of a key of [pgbouncer], or another where there is none.
func (c *converter) text(key, other string) string {
	if e, ok := c.given(key); ok {
		return e.value
	}
	return other
}

// security adds what protects logins to the server.
func (c *converter) security(add func(key, value string), n *node) {
	mode, at := c.lower("server_tls_sslmode"), c.at("server_tls_sslmode")
	if mode == "disable" || !settingOf("server_tls_sslmode").isWord(mode) {
		add("sslmode", "disable")
		return
	}
	add("sslmode", mode)
	ca, given := c.given("server_tls_ca_file")
	verifies := strings.HasPrefix(mode, "verify")
	switch {
	case verifies && given:
		add("sslrootcert", ca.value)
	case mode == "verify-full":
		add("sslrootcert", "system")
	case verifies:
		c.badOnce(at, "server_tls_sslmode", "verify-ca needs a server_tls_ca_file here")
	case given:
		c.remarkOnce(n, ca.at, "server_tls_ca_file", "is not used, as in PgBouncer: the server's certificate is not looked at with server_tls_sslmode = "+mode+"; verify-full does")
	}
	c.certificate(add, n)
	least, most, ok := protocols(c.value("server_tls_protocols"))
	if !ok {
		c.badOnce(c.at("server_tls_protocols"), "server_tls_protocols", "is not a list of tlsv1.0, tlsv1.1, tlsv1.2 and tlsv1.3, nor all, secure or legacy")
		return
	}
	names := []string{"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
	if least != 2 {
		add("ssl_min_protocol_version", names[least])
	}
	if most != 3 {
		add("ssl_max_protocol_version", names[most])
	}
}

// certificate adds the guard's own certificate for servers, and its key: one is of no use without the other.
func (c *converter) certificate(add func(key, value string), n *node) {
	cert, _ := c.given("server_tls_cert_file")
	key, _ := c.given("server_tls_key_file")
	switch {
	case cert.value != "" && key.value != "":
		add("sslcert", cert.value)
		add("sslkey", key.value)
	case cert.value != "":
		c.remarkOnce(n, cert.at, "server_tls_cert_file", "is not used: there is no server_tls_key_file")
	case key.value != "":
		c.remarkOnce(n, key.at, "server_tls_key_file", "is not used: there is no server_tls_cert_file")
	}
}

// isWord is true for one of the words that the key may have.
func (s *setting) isWord(w string) bool { return s.check(w) == "" }

// badOnce records a fault that is of every database, once.
func (c *converter) badOnce(at place, key, message string) {
	if !c.once[key] {
		c.bad(at, key, "%s", message)
	}
	c.once[key] = true
}

// remarkOnce has the comment above the first database tell of a line that is about all.
func (c *converter) remarkOnce(n *node, at place, key, text string) {
	if !c.once[key] {
		c.remark(n, at, key, "%s", text)
	}
	c.once[key] = true
}

// keepalive adds how a server's machine is found to be gone.
func (c *converter) keepalive(add func(key, value string)) {
	if c.number("tcp_keepalive") == 0 {
		add("keepalives", "0")
	}
	for _, k := range []struct{ theirs, ours string }{
		{"tcp_keepidle", "keepalives_idle"}, {"tcp_keepintvl", "keepalives_interval"}, {"tcp_keepcnt", "keepalives_count"},
		{"tcp_user_timeout", "tcp_user_timeout"},
	} {
		if n := c.number(k.theirs); n > 0 {
			add(k.ours, strconv.Itoa(n))
		}
	}
}

// aSet is SET name = value, of which a connect_query may be made.
var aSet = regexp.MustCompile(`(?is)^\s*set\s+(?:session\s+)?([a-z_][a-z0-9_.]*)\s*(?:=|\sto\s)\s*(.+?)\s*$`)

// settings are those that servers have for clients that do not choose their own.
func (c *converter) settings(d *database, n *node) {
	s := n.child("settings")
	for _, f := range []struct{ key, name string }{{"client_encoding", "client_encoding"}, {"datestyle", "DateStyle"}, {"timezone", "TimeZone"}} {
		if p, ok := d.fields[f.key]; ok {
			c.set(s.child(f.name), strconv.Quote(p.value), p.valueAt)
		}
	}
	p, ok := d.fields["connect_query"]
	if !ok {
		return
	}
	for statement := range strings.SplitSeq(p.value, ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		m := aSet.FindStringSubmatch(statement)
		value, plain := "", false
		if m != nil {
			value, plain = settingValue(m[2])
		}
		if !plain {
			c.bad(p.valueAt, d.key, "connect_query cannot be kept: only SET name = value can, as a setting of the servers; set what else it does for the role or database in PostgreSQL")
			return
		}
		c.set(s.child(m[1]), strconv.Quote(value), p.valueAt)
	}
	c.remark(s, p.at, d.key+" connect_query", "%s, and comes back with RESET and DISCARD", ofClient)
}

// settingValue is the value of a SET as a start-up packet has it; false: it is no single value, or names in a list.
func settingValue(text string) (value string, ok bool) {
	if strings.HasPrefix(text, "'") {
		inner := strings.TrimSuffix(text[1:], "'")
		unquoted := strings.ReplaceAll(inner, "''", "")
		return strings.ReplaceAll(inner, "''", "'"), len(text) > 1 && strings.HasSuffix(text, "'") && !strings.ContainsAny(unquoted, "'\\")
	}
	return text, regexp.MustCompile(`^[A-Za-z0-9_.+"$, -]+$`).MatchString(text) && !strings.EqualFold(text, "default")
}

// quoteDSN returns a value as libpq reads it.
func quoteDSN(s string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_.:/@%+-]+$`).MatchString(s) {
		return s
	}
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

// limit is how many servers there may be; 0: as many as PostgreSQL allows.
type limit struct{ login, database int }

// limitOf is what the lines say of one database.
func (c *converter) limitOf(d *database) limit {
	n := func(key, general string) int {
		v, _ := parseNumber(d.text(key, c.value(general)))
		return max(v, 0)
	}
	return limit{login: n("pool_size", "default_pool_size"), database: n("max_db_connections", "max_db_connections")}
}

// number is the value of a field of its own: it is given, and not negative, which is for what holds for all.
func (d *database) number(key string) (n int, ok bool) {
	n, err := parseNumber(d.text(key, "-1"))
	return n, err == nil && n >= 0
}
