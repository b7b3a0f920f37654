package translate

import (
	"sort"
	"strings"
	"unique"

	"pgguard/proxy/wire"
)

// Settings are what a session has set: the names and values in which it differs from a new session of its key. Equal
// ones are equal values, so that comparing costs nothing. The zero value is none of them: it means unknown.
type Settings struct {
	all     unique.Handle[string] // name \0 value \0 …, sorted by name, but for the next
	called  unique.Handle[string] // application_name; the zero value: it is not set
	parsing Parsing               // of those that change the meaning of a text
	haste   haste                 // of the timeouts among them
	timeout int32                 // statement_timeout in milliseconds; 0: it is not set, or to nothing that is understood
}

// settingName is kept apart from other settings, because clients that are equal but for it are many.
const settingName = "application_name"

// Trait tells apart what servers have been made fit for: the settings, and whose statements are there that were prepared by SQL.
type Trait struct {
	Settings, Name unique.Handle[string]
	Stock          any
}

func traitOf(s Settings, stock []*stocked) Trait {
	t := Trait{Settings: s.all, Name: s.called}
	if len(stock) > 0 {
		t.Stock = stock[0]
	}
	return t
}

// Trait is what a server should be fit for.
func (c *Client) Trait() Trait { return traitOf(c.settings, c.stock) }

// Trait is what the server is fit for.
func (s *Server) Trait() Trait { return traitOf(s.settings, s.stock) }

// Called returns the settings with that application_name.
func (s Settings) Called(name string) Settings {
	s.called = unique.Make(name)
	return s
}

// Bare returns the settings without an application_name.
func (s Settings) Bare() Settings {
	s.called = unique.Handle[string]{}
	return s
}

// As returns the settings with the application_name of other.
func (s Settings) As(other Settings) Settings {
	s.called = other.called
	return s
}

// PlainParsing is of a session that has set nothing that matters to it.
var PlainParsing = unique.Make("")

// Plain is a session that has set nothing.
var Plain = Settings{all: PlainParsing, parsing: PlainParsing}

// harmless has the settings that do not change what a statement means once it is prepared, beside those with a dot.
var harmless = map[string]bool{
	"statement_timeout": true, "lock_timeout": true, "idle_in_transaction_session_timeout": true,
	"idle_session_timeout": true, "transaction_timeout": true, "client_min_messages": true, "log_min_messages": true,
	"log_statement": true, "log_duration": true, "log_min_duration_statement": true, "log_min_error_statement": true,
	"work_mem": true, "maintenance_work_mem": true, "temp_buffers": true,
	"default_transaction_isolation": true, "default_transaction_read_only": true, "default_transaction_deferrable": true,
	"synchronous_commit":               true,
	"client_connection_check_interval": true, "tcp_keepalives_idle": true, "tcp_keepalives_interval": true,
	"tcp_keepalives_count": true, "tcp_user_timeout": true, "lc_messages": true, "session_replication_role": true,
}

// folded has the settings that are read by functions which PostgreSQL takes for immutable: what they return is in the plan of a
// statement, which every client of a server's copy would share.
var folded = []string{"bytea_output", "extra_float_digits", "IntervalStyle", "lc_monetary", "lc_numeric", "lc_time", "xmlbinary"}

// folds is true if plans that were made under one of them may be wrong under the other.
func folds(a, b Parsing) bool {
	if a == b {
		return false
	}
	for _, name := range folded {
		was, _ := Settings{all: a}.Get(name)
		is, _ := Settings{all: b}.Get(name)
		if was != is {
			return true
		}
	}
	return false
}

// Pair is one setting with its value.
type Pair struct{ Name, Value string }

// NewSettings returns the settings made of pairs, which are sorted in place.
func NewSettings(pairs []Pair) Settings {
	if len(pairs) == 0 {
		return Plain
	}
	sort.Slice(pairs, func(i, j int) bool { return pairs[i].Name < pairs[j].Name })
	var all, parse strings.Builder
	var h haste
	var timeout int32
	var called unique.Handle[string]
	for _, p := range pairs {
		if p.Name == settingName {
			called = unique.Make(p.Value)
			continue
		}
		h = max(h, hasteOf(p.Name, p.Value))
		if p.Name == "statement_timeout" {
			timeout = timeoutOf(p.Value)
		}
		for _, b := range []*strings.Builder{&all, &parse} {
			if b == &parse && (harmless[p.Name] || strings.Contains(p.Name, ".")) {
				continue
			}
			b.WriteString(p.Name)
			b.WriteByte(0)
			b.WriteString(p.Value)
			b.WriteByte(0)
		}
	}
	return Settings{unique.Make(all.String()), called, unique.Make(parse.String()), h, timeout}
}

// Parsing is what of them decides how a text is read.
func (s Settings) Parsing() Parsing { return s.parsing }

// pairs returns the settings one by one: application_name, then the others sorted by name.
func (s Settings) pairs() (out []Pair) {
	if s.called != (unique.Handle[string]{}) {
		out = append(out, Pair{settingName, s.called.Value()})
	}
	rest := s.all.Value()
	for rest != "" {
		var p Pair
		p.Name, rest, _ = strings.Cut(rest, "\x00")
		p.Value, rest, _ = strings.Cut(rest, "\x00")
		out = append(out, p)
	}
	return out
}

// Get returns the value of a setting, if it is set.
func (s Settings) Get(name string) (value string, ok bool) {
	for _, p := range s.pairs() {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// Changed returns the names of what is set otherwise in to, but for application_name.
func (s Settings) Changed(to Settings) (names []string) {
	for _, p := range s.Bare().pairs() {
		if v, ok := to.Get(p.Name); !ok || v != p.Value {
			names = append(names, p.Name)
		}
	}
	for _, p := range to.Bare().pairs() {
		if _, ok := s.Get(p.Name); !ok {
			names = append(names, p.Name)
		}
	}
	return names
}

// Roles decide what may be set and run, so that they are left first and taken last.
const (
	settingRole          = "role"
	settingAuthorization = "session_authorization"
	settingEncoding      = "client_encoding"
)

// doubtful has the settings that a server may refuse though another has taken them: what they name may have gone.
var doubtful = map[string]bool{
	"default_table_access_method": true, "default_tablespace": true, "default_text_search_config": true,
	"temp_buffers": true, "temp_tablespaces": true,
}

// change is one step from some settings to others. A reset goes back to the value of a new session.
type change struct {
	Pair
	reset bool
}

// changes returns what must be done, in order, to get from from to to. await: it may be refused, or takes a role.
func changes(from, to Settings) (list []change, await bool) {
	was, is := map[string]string{}, map[string]string{}
	for _, p := range from.pairs() {
		was[p.Name] = p.Value
	}
	for _, p := range to.pairs() {
		is[p.Name] = p.Value
	}
	_, wasRole := was[settingRole]
	_, wasUser := was[settingAuthorization]
	if wasRole {
		list = append(list, change{Pair{settingRole, "none"}, false})
	}
	if wasUser {
		list = append(list, change{Pair{settingAuthorization, ""}, true})
	}
	for _, p := range to.pairs() {
		if v, ok := was[p.Name]; (!ok || v != p.Value) && p.Name != settingRole && p.Name != settingAuthorization {
			list = append(list, change{p, false})
			await = await || doubtful[p.Name]
		}
	}
	for _, p := range from.pairs() {
		if _, ok := is[p.Name]; !ok && p.Name != settingRole && p.Name != settingAuthorization {
			list = append(list, change{Pair{p.Name, ""}, true})
		}
	}
	for _, name := range []string{settingAuthorization, settingRole} {
		if v, ok := is[name]; ok {
			list = append(list, change{Pair{name, v}, false})
			await = true
		}
	}
	_, isUser := is[settingAuthorization]
	if _, ok := is[settingRole]; !ok && (wasRole || wasUser || isUser) {
		list = append(list, change{Pair{settingRole, ""}, true}) // that of a new session need not be none
	}
	return list, await
}

// appendChanges appends the simple queries that carry out list, and returns how many. The encoding comes in a query of
// its own, because the text after it is read in the new one.
func appendChanges(dst []byte, list []change) (out []byte, queries int) {
	if len(list) == 1 && list[0].Name == settingName && !list[0].reset { // what comes most often, at the least cost
		return wire.AppendText(dst, wire.Query, "SET application_name TO "+literal(list[0].Value)), 1
	}
	for _, encoding := range []bool{true, false} {
		var text strings.Builder
		for _, c := range list {
			if (c.Name == settingEncoding) != encoding {
				continue
			}
			if text.Len() == 0 {
				text.WriteString("SELECT ")
			} else {
				text.WriteString(",")
			}
			value := "NULL"
			if !c.reset {
				value = literal(c.Value)
			}
			text.WriteString("pg_catalog.set_config(" + literal(c.Name) + "," + value + ",false)")
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
