package translate

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"pgguard/proxy/wire"
)

// said is one message as it is told: all of it, or its start and what comes later.
type said struct {
	bytes []byte
	tail  []byte
}

// word is a message as a story writes it: a letter, then its parts in parentheses. Parts are Go strings, and numbers or bare
// words. "start"..."rest" is a text of which only the start is there at first.
type word struct {
	name  string
	parts []string
	cut   int // parts before the message is cut in two; 0: it is whole
}

// words reads messages as a story writes them.
func words(text string) (list []word, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		var w word
		n := strings.IndexAny(text, "( \n")
		if n < 0 {
			n = len(text)
		}
		w.name, text = text[:n], text[n:]
		if strings.HasPrefix(text, "(") {
			if text, err = w.read(text[1:]); err != nil {
				return nil, err
			}
		}
		list = append(list, w)
	}
	return list, nil
}

// read reads the parts of a word up to the closing parenthesis.
func (w *word) read(text string) (rest string, err error) {
	for {
		text = strings.TrimLeft(text, " ,\n")
		switch {
		case text == "":
			return "", fmt.Errorf("%s: no closing parenthesis", w.name)
		case text[0] == ')':
			return text[1:], nil
		case strings.HasPrefix(text, "..."):
			w.cut, text = len(w.parts), text[3:]
		case text[0] == '"' || text[0] == '`':
			quoted, err := strconv.QuotedPrefix(text)
			if err != nil {
				return "", fmt.Errorf("%s: %w in %s", w.name, err, text)
			}
			part, _ := strconv.Unquote(quoted)
			w.parts, text = append(w.parts, part), text[len(quoted):]
		default:
			n := strings.IndexAny(text, ",)")
			if n < 0 {
				n = len(text)
			}
			w.parts, text = append(w.parts, text[:n]), text[n:]
		}
	}
}

// part is the i-th part, or usual if there are less.
func (w *word) part(i int, usual string) string {
	if i < len(w.parts) {
		return w.parts[i]
	}
	return usual
}

// filler is what follows the start of a message of which a story does not say how it goes on.
var filler = strings.Repeat(" ", 100)

// split divides the message with this body: tail is how much of it comes later.
func (w *word) split(typ byte, body string, tail int) said {
	m := wire.AppendMessage(nil, typ, []byte(body))
	return said{m[:len(m)-tail], m[len(m)-tail:]}
}

// text makes a message whose last part is a text with a NUL, which may be cut.
func (w *word) text(typ byte, before string, i int, after string) said {
	if w.cut == 0 {
		return w.split(typ, before+w.part(i, "")+"\x00"+after, 0)
	}
	tail := w.part(w.cut, filler) + "\x00" + after
	return w.split(typ, before+w.part(i, "")+tail, len(tail))
}

// clientSays makes the message of a client that w is.
func (w *word) clientSays() (said, error) {
	switch w.name {
	case "Q":
		return w.text(wire.Query, "", 0, ""), nil
	case "P":
		types, n := "", 0
		for _, p := range w.parts[min(2, len(w.parts)):] {
			if oid, err := strconv.Atoi(p); err == nil && w.cut == 0 {
				types, n = types+string(binary.BigEndian.AppendUint32(nil, uint32(oid))), n+1
			}
		}
		return w.text(wire.Parse, w.part(0, "")+"\x00", 1, string([]byte{0, byte(n)})+types), nil
	case "B":
		body := w.part(0, "") + "\x00" + w.part(1, "") + "\x00"
		n := len(w.parts[min(2, len(w.parts)):])
		rest := "\x00\x00" + string([]byte{0, byte(n)})
		for _, p := range w.parts[min(2, len(w.parts)):] {
			rest += string(binary.BigEndian.AppendUint32(nil, uint32(len(p)))) + p
		}
		rest += "\x00\x00"
		if w.cut > 0 {
			return w.split(wire.Bind, body+rest, len(rest)), nil
		}
		return w.split(wire.Bind, body+rest, 0), nil
	case "DS", "DP", "CS", "CP":
		return w.split(w.name[0], w.name[1:]+w.part(0, "")+"\x00", 0), nil
	case "E":
		limit, _ := strconv.Atoi(w.part(1, "0"))
		return w.split(wire.Execute, w.part(0, "")+"\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(limit))), 0), nil
	case "S", "H", "c", "X":
		return w.split(w.name[0], "", 0), nil
	case "F":
		oid, err := strconv.ParseUint(w.part(0, "1"), 10, 32)
		return w.split(wire.FunctionCall, string(binary.BigEndian.AppendUint32(nil, uint32(oid)))+"\x00\x00\x00\x00\x00\x00", 0), err
	case "d":
		if w.cut > 0 {
			tail := w.part(w.cut, filler)
			return w.split(wire.CopyData, w.part(0, "")+tail, len(tail)), nil
		}
		return w.split(wire.CopyData, w.part(0, ""), 0), nil
	case "f":
		return w.split(wire.CopyFail, w.part(0, "")+"\x00", 0), nil
	}
	if len(w.name) == 2 && w.name[1] == '!' { // any body
		return w.split(w.name[0], w.part(0, ""), 0), nil
	}
	return said{}, fmt.Errorf("no message of a client is called %q", w.name)
}

// serverSays makes the message of a server that w is.
func (w *word) serverSays() (said, error) {
	switch w.name {
	case "1", "2", "3", "n", "s", "I", "W", "c":
		return w.split(w.name[0], "", 0), nil
	case "G", "H":
		return w.split(w.name[0], "\x00\x00\x00", 0), nil
	case "V":
		return w.split(wire.FunctionCallResponse, "\xff\xff\xff\xff", 0), nil
	case "A":
		return w.split(wire.NotificationResponse, "\x00\x00\x00\x01"+w.part(0, "c")+"\x00\x00", 0), nil
	case "t":
		return w.split(wire.ParameterDescription, "\x00\x00", 0), nil
	case "T":
		if w.cut > 0 || len(w.parts) > 0 {
			return w.text(wire.RowDescription, "\x00\x01", 0, strings.Repeat("\x00", 18)), nil
		}
		return w.split(wire.RowDescription, "\x00\x00", 0), nil
	case "d":
		return w.split(wire.CopyData, w.part(0, ""), 0), nil
	case "C":
		return w.split(wire.CommandComplete, w.part(0, "SELECT 1")+"\x00", 0), nil
	case "Z":
		return w.split(wire.ReadyForQuery, w.part(0, "I"), 0), nil
	case "S":
		return w.split(wire.ParameterStatus, w.part(0, "")+"\x00"+w.part(1, "")+"\x00", 0), nil
	case "D":
		body := string([]byte{0, byte(len(w.parts))})
		for _, p := range w.parts {
			body += string(binary.BigEndian.AppendUint32(nil, uint32(len(p)))) + p
		}
		if w.cut > 0 {
			return w.split(wire.DataRow, body+filler, len(filler)), nil
		}
		return w.split(wire.DataRow, body, 0), nil
	case "E", "N":
		return w.report(), nil
	}
	if len(w.name) == 2 && w.name[1] == '!' {
		return w.split(w.name[0], w.part(0, ""), 0), nil
	}
	return said{}, fmt.Errorf("no message of a server is called %q", w.name)
}

// severities are what a report may begin with.
var severities = map[string]bool{"ERROR": true, "FATAL": true, "PANIC": true, "WARNING": true, "NOTICE": true}

// report makes an ErrorResponse or a NoticeResponse: severity if it is not the usual one, code, message, routine.
func (w *word) report() said {
	severity, parts := "ERROR", w.parts
	if w.name == "N" {
		severity = "NOTICE"
	}
	cut := w.cut
	if len(parts) > 0 && severities[parts[0]] {
		severity, parts, cut = parts[0], parts[1:], cut-1
	}
	at := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	body := "S" + severity + "\x00V" + severity + "\x00"
	for i, field := range []string{"C", "M", "R"} {
		if at(i) != "" && (w.cut == 0 || i < cut) {
			body += field + at(i) + "\x00"
		}
	}
	if w.cut == 0 {
		return w.split(w.name[0], body+"\x00", 0)
	}
	tail := filler + "\x00\x00"
	return w.split(w.name[0], body+"W"+tail, len(tail))
}

// answered are words for whole answers of a server. The rows of a residue query are a kind, or name=value.
func (w *word) answered() (list []word) {
	switch w.name {
	case "ASKED":
		list, _ = words("3 1 2")
		for _, p := range w.parts {
			kind, name, value := p, "", ""
			if n, v, ok := strings.Cut(p, "="); ok {
				kind, name, value = "s", n, v
			}
			list = append(list, word{name: "D", parts: []string{kind, name, value}})
		}
		end, _ := words(`C("SELECT") 3 Z(I)`)
		return append(list, end...)
	case "FORGOT":
		list, _ = words(`C("DISCARD SEQUENCES") Z(I)`)
		return list
	}
	return []word{*w}
}

// all makes the messages that a story writes.
func all(text string, says func(*word) (said, error)) ([]said, error) {
	short, err := words(text)
	if err != nil {
		return nil, err
	}
	var out []said
	var list []word
	for i := range short {
		list = append(list, short[i].answered()...)
	}
	for i := range list {
		m, err := says(&list[i])
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// eachMessage calls f with every message of a stream; the last may lack its end.
func eachMessage(stream []byte, f func(m []byte, whole bool)) {
	for len(stream) > 0 {
		_, size, ok, err := wire.Peek(stream)
		if !ok || err != nil {
			f(stream, false)
			return
		}
		n := min(size, len(stream))
		f(stream[:n], n == size)
		stream = stream[n:]
	}
}

// shown joins the messages of a stream as a story writes them.
func shown(stream []byte, show func([]byte) string) string {
	var list []string
	eachMessage(stream, func(m []byte, whole bool) {
		text := show(m)
		if !whole {
			text += "..."
		}
		list = append(list, text)
	})
	return strings.Join(list, " ")
}

// call writes a word with its parts, without those at the end that are empty.
func call(name string, parts ...string) string {
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	if len(parts) == 0 {
		return name
	}
	for i, p := range parts {
		parts[i] = strconv.Quote(p)
	}
	return name + "(" + strings.Join(parts, ",") + ")"
}

// texts cuts body after its first n NULs, or where it ends.
func texts(body []byte, n int) (list []string, rest []byte) {
	for range n {
		text, after, ok := wire.CString(body)
		if !ok {
			return append(list, string(body)), nil
		}
		list, body = append(list, string(text)), after
	}
	return list, body
}

// brief makes the guard's long texts short: the parts of a residue query are in angle brackets, but for the one
// that goes with the settings.
var brief = func() *strings.Replacer {
	list := []string{` UNION ALL SELECT 'u', '', '' FROM pg_catalog.pg_roles WHERE rolsuper AND rolname OPERATOR(pg_catalog.=) E'u'`, "", " UNION ALL ", " ", strings.Trim(strconv.Quote(functionsQuery), `"`), "<functions>", strings.Trim(strconv.Quote(unseenQuery), `"`), "<unseen>", writesQuery + " UNION ALL " + waysQuery, "<writes>"}
	for _, r := range residueQueries {
		list = append(list, r.text, "<"+r.pin.String()+">")
	}
	list = append(list, `SELECT 's', 'session_authorization', session_user::pg_catalog.text WHERE session_user OPERATOR(pg_catalog.<>) `, "<authorization> not ")
	list = append(list, `SELECT 's', 'role', pg_catalog.current_setting('role') WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) `, "<role> not ")
	list = append(list, `SELECT 's', n, pg_catalog.current_setting(n, true) FROM ROWS FROM (pg_catalog.unnest(ARRAY[`, "<customs> ")
	list = append(list, `]), pg_catalog.unnest(ARRAY[`, " not ", `])) AS c (n, v) WHERE pg_catalog.current_setting(n, true) OPERATOR(pg_catalog.<>) v`, "")
	list = append(list, `pg_catalog.current_setting('statement_timeout')`, "…", "pg_catalog.set_config", "set_config")
	return strings.NewReplacer(list...)
}()

// showClients writes one message of a client, or of the guard.
func showClients(m []byte) string {
	return brief.Replace(showClientsWhole(m))
}

func showClientsWhole(m []byte) string {
	typ, body := m[0], m[min(len(m), wire.HeaderSize):]
	switch typ {
	case wire.Query, wire.CopyFail:
		list, _ := texts(body, 1)
		return call(string(typ), list...)
	case wire.Parse:
		list, rest := texts(body, 2)
		text := call("P", list...)
		if len(rest) > 2 {
			text += fmt.Sprintf("+%d types", rest[1])
		}
		return text
	case wire.Bind:
		list, rest := texts(body, 2)
		if len(rest) > 6 { // formats, parameters, formats of the result; here all parameters are texts
			for n := rest[3]; n > 0 && len(rest) > 8; n-- {
				size := int(binary.BigEndian.Uint32(rest[4:]))
				list = append(list, string(rest[8:min(len(rest), 8+size)]))
				rest = append(rest[:4:4], rest[min(len(rest), 8+size):]...)
			}
		}
		return call("B", list...)
	case wire.Describe, wire.Close:
		if len(body) > 0 {
			list, _ := texts(body[1:], 1)
			return call(string(typ)+string(body[:1]), list...)
		}
	case wire.Execute:
		list, rest := texts(body, 1)
		if len(rest) == 4 && binary.BigEndian.Uint32(rest) > 0 {
			list = append(list, strconv.Itoa(int(binary.BigEndian.Uint32(rest))))
		}
		return call("E", list...)
	case wire.CopyData:
		return call("d", string(body))
	case wire.FunctionCall:
		if oid := binary.BigEndian.Uint32(body); oid != 1 {
			return call("F", strconv.Itoa(int(oid)))
		}
		return "F"
	}
	return call(string(typ), string(body))
}

// showServers writes one message of a server.
func showServers(m []byte) string {
	typ, body := m[0], m[min(len(m), wire.HeaderSize):]
	switch typ {
	case wire.ReadyForQuery:
		return "Z(" + string(body) + ")"
	case wire.CommandComplete:
		list, _ := texts(body, 1)
		return call("C", list...)
	case wire.ParameterStatus:
		list, _ := texts(body, 2)
		return call("S", list...)
	case wire.ErrorResponse, wire.NoticeResponse:
		f, _ := wire.ParseError(wire.ErrorStart(body))
		list := []string{string(f.Code), string(f.Message)}
		if s := string(f.Severity); s != "ERROR" && s != "NOTICE" {
			list = append([]string{s}, list...)
		}
		return call(string(typ), list...)
	case wire.DataRow:
		var list []string
		for rest := body[min(2, len(body)):]; len(rest) >= 4; {
			size := int(int32(binary.BigEndian.Uint32(rest)))
			end := min(len(rest), 4+max(size, 0))
			list, rest = append(list, string(rest[4:end])), rest[end:]
		}
		return call("D", list...)
	case wire.CopyData:
		return call("d", string(body))
	}
	return string(typ)
}
