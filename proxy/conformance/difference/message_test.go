package difference

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgproto3/v2"
)

// message is one message a client sends. kind is the message's name in PostgreSQL's documentation; of the other fields a
// message uses those that its kind has.
type message struct {
	kind    string
	portal  string   // Bind, Execute; Describe and Close of a portal
	name    string   // Parse, Bind; Describe and Close of a statement; of FunctionCall the function, with its arguments' types
	what    byte     // Describe, Close: 'S' or 'P'
	sql     string   // Query, Parse; the reason of CopyFail
	types   []uint32 // Parse; of FunctionCall the function's number, once that is known
	args    []arg    // Bind, FunctionCall
	formats []int16  // Bind, FunctionCall: of the results
	rows    uint32   // Execute
	data    []byte   // CopyData
	n       int      // its number in the step, for one that may be refused
	ours    bool     // it stands for something that was refused, and its answer is not in the transcript
}

// arg is one argument of a Bind.
type arg struct {
	null   bool
	binary bool
	value  string
}

func query(sql string) message { return message{kind: "Query", sql: sql} }
func parse(name, sql string, types ...uint32) message {
	return message{kind: "Parse", name: name, sql: sql, types: types}
}
func bind(portal, name string, args ...arg) message {
	return message{kind: "Bind", portal: portal, name: name, args: args}
}
func execute(portal string, rows uint32) message {
	return message{kind: "Execute", portal: portal, rows: rows}
}
func describe(what byte, name string) message { return aimed("Describe", what, name) }
func closing(what byte, name string) message  { return aimed("Close", what, name) }
func copyData(data string) message            { return message{kind: "CopyData", data: []byte(data)} }
func copyFail(reason string) message          { return message{kind: "CopyFail", sql: reason} }
func call(function string, args ...arg) message {
	return message{kind: "FunctionCall", name: function, args: args}
}

func aimed(kind string, what byte, name string) message {
	if what == 'P' {
		return message{kind: kind, what: what, portal: name}
	}
	return message{kind: kind, what: what, name: name}
}

var (
	sync     = message{kind: "Sync"}
	flush    = message{kind: "Flush"}
	copyDone = message{kind: "CopyDone"}
)

// target is the name a Describe or a Close is about.
func (m message) target() string { return m.name + m.portal }

// append appends the message as bytes.
func (m message) append(dst []byte) []byte {
	out, err := m.wire().Encode(dst)
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", m, err)) // nothing generated is as long as a gigabyte
	}
	return out
}

func (m message) wire() pgproto3.FrontendMessage {
	switch m.kind {
	case "Query":
		return &pgproto3.Query{String: m.sql}
	case "Parse":
		return &pgproto3.Parse{Name: m.name, Query: m.sql, ParameterOIDs: m.types}
	case "Bind":
		return m.bind()
	case "Describe":
		return &pgproto3.Describe{ObjectType: m.what, Name: m.target()}
	case "Close":
		return &pgproto3.Close{ObjectType: m.what, Name: m.target()}
	case "Execute":
		return &pgproto3.Execute{Portal: m.portal, MaxRows: m.rows}
	case "FunctionCall":
		return m.call()
	case "CopyData":
		return &pgproto3.CopyData{Data: m.data}
	case "CopyDone":
		return &pgproto3.CopyDone{}
	case "CopyFail":
		return &pgproto3.CopyFail{Message: m.sql}
	case "Flush":
		return &pgproto3.Flush{}
	case "Sync":
		return &pgproto3.Sync{}
	}
	panic("there is no message " + m.kind)
}

func (m message) bind() *pgproto3.Bind {
	b := &pgproto3.Bind{DestinationPortal: m.portal, PreparedStatement: m.name, ResultFormatCodes: m.formats}
	for _, a := range m.args {
		format, value := int16(0), []byte(a.value)
		if a.binary {
			format = 1
		}
		if a.null {
			value = nil
		}
		b.ParameterFormatCodes = append(b.ParameterFormatCodes, format)
		b.Parameters = append(b.Parameters, value)
	}
	return b
}

// nobodysFunction is the number of a function that does not exist.
const nobodysFunction = 1

func (m message) call() *pgproto3.FunctionCall {
	b, f := m.bind(), &pgproto3.FunctionCall{Function: nobodysFunction}
	if len(m.types) > 0 {
		f.Function = m.types[0]
	}
	f.Arguments = b.Parameters
	for _, code := range b.ParameterFormatCodes {
		f.ArgFormatCodes = append(f.ArgFormatCodes, uint16(code))
	}
	if len(m.formats) > 0 {
		f.ResultFormatCode = uint16(m.formats[0])
	}
	return f
}

// String is the message as a line of a script; parseMessage reads it.
func (m message) String() string {
	w := []string{m.kind}
	switch m.kind {
	case "Query", "CopyFail":
		w = append(w, plain(m.sql))
	case "Parse":
		types := "-"
		if len(m.types) > 0 {
			types = joinNumbers(m.types)
		}
		w = append(w, quote(m.name), types, plain(m.sql))
	case "Bind":
		w = append(append(w, quote(m.portal), quote(m.name)), m.arguments()...)
	case "FunctionCall":
		w = append(append(w, quote(m.name)), m.arguments()...)
	case "Describe", "Close":
		w = append(w, string(m.what), quote(m.target()))
	case "Execute":
		w = append(w, quote(m.portal), strconv.Itoa(int(m.rows)))
	case "CopyData":
		w = append(w, strconv.Quote(string(m.data)))
	}
	return squeeze(strings.Join(w, " "))
}

// arguments are the words of a Bind or a FunctionCall after its names.
func (m message) arguments() (w []string) {
	for _, a := range m.args {
		w = append(w, a.String())
	}
	if len(m.formats) > 0 {
		w = append(w, "=>", joinNumbers(m.formats))
	}
	return w
}

func (a arg) String() string {
	switch {
	case a.null:
		return "null"
	case a.binary:
		return "b" + strconv.Quote(a.value)
	}
	return strconv.Quote(a.value)
}

// quote is a name as one word: itself, or in quotes if that would not be one.
func quote(name string) string {
	if name == "" || strings.ContainsAny(name, " \"\t") || strconv.Quote(name) != `"`+name+`"` {
		return strconv.Quote(name)
	}
	return name
}

// plain is a text as the rest of a line: itself, or in quotes if it would not be read back.
func plain(text string) string {
	if q := strconv.Quote(text); q != `"`+strings.ReplaceAll(text, `"`, `\"`)+`"` || strings.HasPrefix(text, `"`) ||
		strings.TrimSpace(text) != text || text == "" {
		return q
	}
	return text
}

// joinNumbers writes many equal ones as one of them and how many.
func joinNumbers[T uint32 | int16](numbers []T) string {
	var w []string
	for i, end := 0, 0; i < len(numbers); i = end {
		for end = i; end < len(numbers) && numbers[end] == numbers[i]; end++ {
		}
		word := strconv.Itoa(int(numbers[i]))
		if end-i > 9 {
			w = append(w, word+"*"+strconv.Itoa(end-i))
			continue
		}
		for range end - i {
			w = append(w, word)
		}
	}
	return strings.Join(w, ",")
}
