package pgbouncer

import (
	"strings"

	"pgguard/proxy/config"
)

// pair is one key=value of a connection string.
type pair struct {
	key, value  string
	at, valueAt place
}

// pairsOf reads the connection string that is the value of e, as PgBouncer does: a value in single quotes may have spaces, and a quote
// that is written twice; a space ends any other.
func pairsOf(e entry) ([]pair, *config.Fault) {
	c := &cursor{text: e.value, file: e.valueAt.file, lines: e.valueAt.line - 1, begin: 1 - e.valueAt.column}
	var list []pair
	for {
		c.skip(isSpace)
		if c.end() {
			return list, nil
		}
		p := pair{at: c.place()}
		p.key = c.take(len(c.rest()) - len(strings.TrimLeftFunc(c.rest(), func(r rune) bool { return r != '=' && r != ' ' })))
		c.skip(isSpace)
		if p.key == "" || c.end() || c.rest()[0] != '=' {
			f := p.at.fault(e.key, "a connection string is made of key=value; a value with spaces stands in single quotes")
			return nil, &f
		}
		c.take(1)
		c.skip(isSpace)
		p.valueAt = c.place()
		value, ok := valueOf(c)
		if !ok {
			f := p.at.fault(e.key, "the value of %s has no closing quote", p.key)
			return nil, &f
		}
		if p.value = value; value == "" {
			f := p.at.fault(e.key, "%s has no value", p.key)
			return nil, &f
		}
		list = append(list, p)
	}
}

// valueOf reads one value; false: it has no closing quote.
func valueOf(c *cursor) (value string, ok bool) {
	if c.end() || c.rest()[0] != '\'' {
		return c.take(len(upTo(c.rest(), ' '))), true
	}
	c.take(1)
	var out strings.Builder
	for !c.end() {
		b := c.take(1)
		if b == "'" {
			if c.end() || c.rest()[0] != '\'' {
				return out.String(), true
			}
			c.take(1)
		}
		out.WriteString(b)
	}
	return "", false
}
