package console

import (
	"regexp"
	"strings"
)

// command is one that has been read. Its words are as they were typed, without quotes.
type command struct {
	text string // all of it, for errors
	verb string // in lower case; "": it cannot be read
	arg  string

	set   bool // SET key = value
	value string

	long bool // a word of it is too long, or the key of SET is empty
}

// What a command looks like: one or two words, or SET. A word is a name, or anything between double quotes; white space and one semicolon may be
// around it. There are no comments, and one query is one command.
const (
	space  = `[ \t\n\r]`
	word   = `("(?:[^"]|"")*"|[0-9a-zA-Z_]+)`
	quoted = `'(?:[^']|'')*'`
	key    = `("(?:[^"]|"")*"|[0-9a-zA-Z_.]+)` // of pgguard's keys, which PgBouncer would want between quotes
	value  = `("(?:[^"]|"")*"|[0-9a-zA-Z_.+-]+|` + quoted + `)`
	end    = space + `*;?` + space + `*$`
)

var (
	plainForm = regexp.MustCompile(`^` + space + `*` + word + `(?:` + space + `+` + word + `)?` + end)
	setForm   = regexp.MustCompile(`^` + space + `*(?i:set)` + space + `+` + key + space + `*(?i:=|to)` + space + `*` + value + end)
)

// How long words are at most, with their quotes: PgBouncer's bounds. That of a value is not: one may be a connection string.
const (
	longestVerb = 15
	longestArg  = 63
)

// read reads a query. What cannot be read has no verb.
func read(text string) command {
	c := command{text: text}
	if len(text) > maxReadable {
		return c
	}
	if m := setForm.FindStringSubmatch(text); m != nil {
		c.verb, c.set, c.arg, c.value = "set", true, unquote(m[1]), unquote(m[2])
		c.long = len(m[1]) > longestArg || c.arg == ""
	} else if m := plainForm.FindStringSubmatch(text); m != nil {
		c.verb, c.arg = strings.ToLower(unquote(m[1])), unquote(m[2])
		c.long = len(m[1]) > longestVerb || len(m[2]) > longestArg
	}
	return c
}

// secret finds what may be a connection string, in which there may be a password: from there to the end.
var secret = regexp.MustCompile(`(?is)(://|password\s*=).*`)

// hidden is a text that somebody has typed, without what may be a password in it: he knows it, and who sees his screen or his script's log need not.
func hidden(text string) string {
	return secret.ReplaceAllStringFunc(text, func(m string) string {
		if strings.HasPrefix(m, "://") {
			return "***"
		}
		return m[:len("password")] + "***"
	})
}

// maxReadable bounds what is looked at: two words, with room for white space between them.
const maxReadable = 4 << 10

// unquote is a word without its quotes.
func unquote(word string) string {
	if len(word) < 2 || word[0] != '"' && word[0] != '\'' {
		return word
	}
	q := word[:1]
	return strings.ReplaceAll(word[1:len(word)-1], q+q, q)
}
