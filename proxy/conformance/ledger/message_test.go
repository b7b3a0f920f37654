package ledger

import (
	"encoding/binary"
	"fmt"
	"strings"

	"pgguard/proxy/wire"
)

// act is what a statement does to a transaction.
type act uint8

const (
	actWrite      act = iota // writes rows
	actCopy                  // writes rows that come as copy data
	actBegin                 //
	actCommit                //
	actRollback              //
	actSavepoint             //
	actRollbackTo            //
	actOther                 // neither
)

// deed is one statement, as the ledger sees it.
type deed struct {
	act
	rows    []*attempt // what it writes
	inner   []*attempt // what it writes and commits by itself
	returns bool       // it returns the rows' numbers
	tag     string     // how its tag begins; "": anything
	name    string     // of a savepoint
}

// message is one message of a client.
type message struct {
	typ   byte
	bytes []byte
	name  string // of the statement that a Parse or a Close is about
	what  byte   // 'S' or 'P' of Describe and Close
	deeds []deed // the statements of a Query, or what an Execute or a FunctionCall does
	short string // for the history
}

func query(text string, deeds ...deed) *message {
	return &message{typ: wire.Query, bytes: wire.AppendText(nil, wire.Query, text), deeds: deeds, short: "Query " + clip(text)}
}

func parse(name, text string) *message {
	return &message{
		typ: wire.Parse, name: name, bytes: wire.AppendParse(nil, name, text+"\x00\x00\x00"),
		short: fmt.Sprintf("Parse %q %s", name, clip(text)),
	}
}

// bind binds the unnamed portal; the arguments are texts.
func bind(name string, args ...string) *message {
	body := append([]byte("\x00"+name+"\x00"), 0, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(args)))
	for _, a := range args {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(a))), a...)
	}
	m := wire.AppendMessage(nil, wire.Bind, append(body, 0, 0))
	return &message{typ: wire.Bind, bytes: m, short: fmt.Sprintf("Bind %q %s", name, clip(strings.Join(args, " ")))}
}

// execute runs the unnamed portal.
func execute(d deed) *message {
	return &message{typ: wire.Execute, bytes: wire.AppendMessage(nil, wire.Execute, make([]byte, 5)), deeds: []deed{d}, short: "Execute"}
}

func describe(what byte, name string) *message {
	m := wire.AppendText(nil, wire.Describe, string(what)+name)
	return &message{typ: wire.Describe, what: what, bytes: m, short: fmt.Sprintf("Describe %c %q", what, name)}
}

func closing(name string) *message {
	m := wire.AppendText(nil, wire.Close, "S"+name)
	return &message{typ: wire.Close, what: 'S', name: name, bytes: m, short: fmt.Sprintf("Close S %q", name)}
}

// call is a FunctionCall of a function that takes and returns a bigint, here as text.
func call(oid uint32, arg string, d deed) *message {
	body := binary.BigEndian.AppendUint32(nil, oid)
	body = append(body, 0, 0, 0, 1) // no formats: text; one argument
	body = append(binary.BigEndian.AppendUint32(body, uint32(len(arg))), arg...)
	m := wire.AppendMessage(nil, wire.FunctionCall, append(body, 0, 0))
	return &message{typ: wire.FunctionCall, bytes: m, deeds: []deed{d}, short: "FunctionCall " + arg}
}

func copyData(data string) *message {
	m := wire.AppendMessage(nil, wire.CopyData, []byte(data))
	return &message{typ: wire.CopyData, bytes: m, short: "CopyData " + clip(data)}
}

func empty(typ byte, short string) *message {
	return &message{typ: typ, bytes: wire.AppendEmpty(nil, typ), short: short}
}

func sync() *message     { return empty(wire.Sync, "Sync") }
func flush() *message    { return empty(wire.Flush, "Flush") }
func copyDone() *message { return empty(wire.CopyDone, "CopyDone") }
func copyFail() *message {
	return &message{typ: wire.CopyFail, bytes: wire.AppendText(nil, wire.CopyFail, "changed my mind"), short: "CopyFail"}
}

// clip is a text short enough for a history.
func clip(text string) string {
	text = strings.ReplaceAll(text, "\n", `\n`)
	if len(text) <= 160 {
		return text
	}
	return fmt.Sprintf("%s … %s (%d bytes)", text[:90], text[len(text)-40:], len(text))
}
