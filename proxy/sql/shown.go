package sql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shown is a text of a stranger's - an application_name, a user, a database, a tag, what a statement is called, an error - fit to be shown
// as text: without control characters, without those that change how the text beside them is read (directions, widths of nothing), in
// valid UTF-8, in one line, and in at most so many bytes and a mark that it was cut. Whoever puts such a text into a page, a log, a metric, a console or a
// file calls it, and escapes the result as that place asks for.
func Shown(text string, most int) string {
	cut := len(text) > most
	if cut {
		end := most
		for end > 0 && most-end < utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if cut {
		text += "…"
	}
	return text
}
