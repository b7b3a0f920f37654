package sql

import "bytes"

// CustomSettings yields the name of every setting with a dot in it that SET or RESET in text, or a call of set_config,
// may change, in lower case; one more than once, if it is there more than once. opaque is true where the text does not
// show all of them: set_config with a name that is no plain string, EXECUTE beside a string that may hold such a
// statement, a text that is Ambiguous or has no end. text may also be the body of a function. name must not be kept after
// yield returns.
func CustomSettings(text []byte, yield func(name []byte)) (opaque bool) {
	c := customs{lexemes: lexemes{p: text}, yield: yield}
	return c.read()
}

// maxDo is how deep DO in DO is followed. Nobody writes two; each costs another look at the text.
const maxDo = 4

// customs reads a text for CustomSettings.
type customs struct {
	lexemes
	yield    func(name []byte)
	opaque   bool
	executes bool // EXECUTE was read
	suspect  bool // a string was read that may hold a statement that changes a setting
	do       bool // the statement is a DO
	started  bool // a lexeme of the statement was read
	depth    int  // of DO in DO
}

// read reads all of the text, and reports whether it is opaque.
func (c *customs) read() bool {
	for again := c.next(); again; {
		again = c.lexeme()
	}
	return c.opaque || c.broken || c.executes && c.suspect
}

// lexeme reads what the last lexeme begins, and reports whether there is one after it, which is then the last.
func (c *customs) lexeme() bool {
	first := !c.started
	c.started = true
	switch {
	case c.kind == kindSymbol && c.text[0] == ';':
		c.started, c.do = false, false
	case c.kind.literal():
		c.literal()
	case c.kind == kindQuoted && string(c.text) == `"set_config"`, c.kind == kindUnicodeQuoted:
		return c.call()
	case c.kind == kindQuoted:
		c.opaque = c.opaque || changesSetting(c.text) // a string, if this is the body of a function in Python
	case c.kind != kindName:
	case equalFold(c.text, "set"), equalFold(c.text, "reset"):
		return c.set()
	case equalFold(c.text, "set_config"):
		return c.call()
	case equalFold(c.text, "execute"):
		c.executes = true
	case first && equalFold(c.text, "do"):
		c.do = true
	}
	return c.next()
}

// literal reads a string. That of DO is a text of its own.
func (c *customs) literal() {
	suspect := changesSetting(c.text)
	c.suspect = c.suspect || suspect
	if !c.do || !suspect {
		return
	}
	body, ok := c.plainString()
	inner := customs{lexemes: lexemes{p: body}, yield: c.yield, depth: c.depth + 1}
	if !ok || inner.depth > maxDo || inner.read() {
		c.opaque = true
	}
}

// changesSetting reports whether text may hold SET, RESET or set_config.
func changesSetting(text []byte) bool {
	for i := range text {
		if fold[text[i]] != 's' || i+4 > len(text) || !equalFold(text[i:i+3], "set") {
			continue
		}
		rest := text[i+3:]
		if c := rest[0]; classes[c] == classSpace || c == '/' || c == '-' {
			return true
		}
		if len(rest) >= len("_config") && equalFold(rest[:len("_config")], "_config") {
			return true
		}
	}
	return false
}

// set reads what stands after SET or RESET, and reports whether there is a lexeme after it.
func (c *customs) set() bool {
	more := c.next()
	if c.kind == kindName && (equalFold(c.text, "session") || equalFold(c.text, "local")) {
		if rest := c.lexemes; rest.next() && (rest.kind != kindSymbol || rest.text[0] != '.') {
			c.lexemes = rest
		}
	}
	var name []byte
	for {
		if c.kind == kindUnicodeQuoted {
			c.opaque = true
		}
		part, ok := c.part()
		if !ok {
			return more
		}
		name = append(name, part...)
		if more = c.next(); !more || c.kind != kindSymbol || c.text[0] != '.' {
			break
		}
		name = append(name, '.')
		if more = c.next(); !more {
			break
		}
	}
	c.give(name)
	return more
}

// part returns the last lexeme as a part of the name of a setting.
func (c *customs) part() (part []byte, ok bool) {
	if c.kind == kindName {
		return truncate(c.text), true
	}
	return c.columnID()
}

// call reads the first argument of set_config, whose name was read last, and reports whether there is a lexeme after it.
func (c *customs) call() bool {
	unknown := c.kind == kindUnicodeQuoted // it may spell set_config
	if !c.next() {
		return false
	}
	if c.kind != kindSymbol || c.text[0] != '(' {
		return true
	}
	if unknown {
		c.opaque = true
		return true
	}
	more := c.next()
	name, ok := c.plainString()
	if !ok {
		c.opaque = true
		return more
	}
	if more = c.next(); c.kind != kindSymbol || c.text[0] != ',' {
		c.opaque = true
		return more
	}
	c.give(name)
	return more
}

// plainString returns what the last lexeme stands for, if it is a string that every server reads in the same way.
func (c *customs) plainString() (value []byte, ok bool) {
	text := c.text
	switch {
	case c.broken || c.kind == kindEnd:
		return nil, false
	case c.kind == kindDollar:
		tag := bytes.IndexByte(text[1:], '$') + 2
		return text[tag : len(text)-tag], true
	case text[0]|0x20 == 'n', c.kind != kindString && c.kind != kindEscape, bytes.IndexByte(text, '\\') >= 0:
		return nil, false
	}
	quote := bytes.IndexByte(text, '\'')
	value = text[quote+1 : len(text)-1]
	if c.kind == kindEscape && bytes.ContainsAny(value, "\r\n") { // perhaps in two pieces
		return nil, false
	}
	return bytes.ReplaceAll(value, []byte("''"), []byte("'")), true
}

// give yields name if it is one of a custom setting.
func (c *customs) give(name []byte) {
	if bytes.IndexByte(name, '.') >= 0 {
		c.yield(lower(name))
	}
}
