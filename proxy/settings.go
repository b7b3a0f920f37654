package proxy

import (
	"sort"
	"strings"
	"unique"

	"pgguard/proxy/wire"
)

// settings are what a session has set: the names and values in which it differs from a new session of its key. Equal
// ones are equal values, so that comparing costs nothing. The zero value is none of them: it means unknown.
type settings struct {
	all     unique.Handle[string] // name \0 value \0 …, sorted by name
	parsing parsing               // of those that change the meaning of a text
}

// plainParsing is of a session that has set nothing that matters to it.
var plainParsing = unique.Make("")

// plain is a session that has set nothing.
var plain = settings{plainParsing, plainParsing}

// harmless has the settings that do not change what a statement means once it is prepared, beside those with a dot.
var harmless = map[string]bool{
	"application_name": true, "statement_timeout": true, "lock_timeout": true, "idle_in_transaction_session_timeout": true,
	"idle_session_timeout": true, "transaction_timeout": true, "client_min_messages": true, "log_min_messages": true,
	"log_statement": true, "log_duration": true, "log_min_duration_statement": true, "log_min_error_statement": true,
	"work_mem": true, "maintenance_work_mem": true, "temp_buffers": true, "bytea_output": true, "extra_float_digits": true,
	"default_transaction_isolation": true, "default_transaction_read_only": true, "default_transaction_deferrable": true,
	"synchronous_commit":               true,
	"client_connection_check_interval": true, "tcp_keepalives_idle": true, "tcp_keepalives_interval": true,
	"tcp_keepalives_count": true, "tcp_user_timeout": true, "lc_messages": true, "session_replication_role": true,
}

// pair is one setting with its value.
type pair struct{ name, value string }

// newSettings returns the settings made of pairs, which are sorted in place.
func newSettings(pairs []pair) settings {
	if len(pairs) == 0 {
		return plain
	}
	sort.Slice(pairs, func(i, j int) bool { return pairs[i].name < pairs[j].name })
	var all, parse strings.Builder
	for _, p := range pairs {
		for _, b := range []*strings.Builder{&all, &parse} {
			if b == &parse && (harmless[p.name] || strings.Contains(p.name, ".")) {
				continue
			}
			b.WriteString(p.name)
			b.WriteByte(0)
			b.WriteString(p.value)
			b.WriteByte(0)
		}
	}
	return settings{unique.Make(all.String()), unique.Make(parse.String())}
}

// pairs returns the settings one by one, sorted by name.
func (s settings) pairs() (out []pair) {
	rest := s.all.Value()
	for rest != "" {
		var p pair
		p.name, rest, _ = strings.Cut(rest, "\x00")
		p.value, rest, _ = strings.Cut(rest, "\x00")
		out = append(out, p)
	}
	return out
}

// get returns the value of a setting, if it is set.
func (s settings) get(name string) (value string, ok bool) {
	for _, p := range s.pairs() {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

// Roles decide what may be set and run, so that they are left first and taken last.
const (
	settingRole          = "role"
	settingAuthorization = "session_authorization"
	settingEncoding      = "client_encoding"
)

// change is one step from some settings to others. A reset goes back to the value of a new session.
type change struct {
	pair
	reset bool
}

// changes returns what must be done, in order, to get from from to to.
func changes(from, to settings) (list []change, takesRole bool) {
	was, is := map[string]string{}, map[string]string{}
	for _, p := range from.pairs() {
		was[p.name] = p.value
	}
	for _, p := range to.pairs() {
		is[p.name] = p.value
	}
	_, wasRole := was[settingRole]
	_, wasUser := was[settingAuthorization]
	if wasRole {
		list = append(list, change{pair{settingRole, "none"}, false})
	}
	if wasUser {
		list = append(list, change{pair{settingAuthorization, ""}, true})
	}
	for _, p := range to.pairs() {
		if v, ok := was[p.name]; (!ok || v != p.value) && p.name != settingRole && p.name != settingAuthorization {
			list = append(list, change{p, false})
		}
	}
	for _, p := range from.pairs() {
		if _, ok := is[p.name]; !ok && p.name != settingRole && p.name != settingAuthorization {
			list = append(list, change{pair{p.name, ""}, true})
		}
	}
	for _, name := range []string{settingAuthorization, settingRole} {
		if v, ok := is[name]; ok {
			list = append(list, change{pair{name, v}, false})
			takesRole = true
		}
	}
	_, isUser := is[settingAuthorization]
	if _, ok := is[settingRole]; !ok && (wasRole || wasUser || isUser) {
		list = append(list, change{pair{settingRole, ""}, true}) // that of a new session need not be none
	}
	return list, takesRole
}

// appendChanges appends the simple queries that carry out list, and returns how many. The encoding comes in a query of
// its own, because the text after it is read in the new one.
func appendChanges(dst []byte, list []change) (out []byte, queries int) {
	for _, encoding := range []bool{true, false} {
		var text strings.Builder
		for _, c := range list {
			if (c.name == settingEncoding) != encoding {
				continue
			}
			if text.Len() == 0 {
				text.WriteString("SELECT ")
			} else {
				text.WriteString(",")
			}
			value := "NULL"
			if !c.reset {
				value = literal(c.value)
			}
			text.WriteString("pg_catalog.set_config(" + literal(c.name) + "," + value + ",false)")
		}
		if text.Len() > 0 {
			dst = wire.AppendText(dst, wire.Query, text.String())
			queries++
		}
	}
	return dst, queries
}

// literal quotes a text for SQL, whatever standard_conforming_strings says.
func literal(text string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
