package translate

import (
	"slices"
	"strings"

	"pgguard/proxy/wire"
)

// bind writes a Bind.
func (w *sending) bind(m []byte) bool {
	l := w.l
	portal, rest, _ := wire.CString(m[wire.HeaderSize:])
	called, rest, ok := wire.CString(rest)
	if !ok {
		return false
	}
	if w.to = portal; len(called) == 0 {
		l.lingers = false
	}
	w.stockNamed(called)
	w.stockOf(called)
	if st := l.c.called(called); st != nil && w.namesOthers(st) {
		w.dedicate(true)
		l.extended(expectation{kind: bind, effect: effect{hands: true}})
		return true
	}
	if w.differs(called) || w.misread(called) {
		w.bindTo(staleName, portal, called, rest, m)
		l.extended(expectation{kind: bind})
		return true
	}
	st := w.resolve(called, len(m))
	if w.bound = st; st == nil {
		if len(called) == 0 && l.c.unnamed != nil && l.c.unnamed.Body != "" {
			w.bound = l.c.unnamed
		}
		return false
	}
	l.c.hide(pinsOf(st.Scan))
	w.bindTo(st.Name, portal, called, rest, m)
	l.extended(expectation{kind: bind, said: l.c.said(called)})
	return true
}

// bindTo puts a Bind of another statement in the place of m.
func (w *sending) bindTo(statement string, portal, called, rest, m []byte) {
	w.replace(len(m))
	w.out = appendHead(w.out, wire.Bind, m, len(statement)-len(called))
	w.out = append(append(append(w.out, portal...), 0), statement...)
	w.out = append(append(w.out, 0), rest...)
}

// differs is true for a Bind of a statement whose client knows other columns than it has now, and does not ask for them.
func (w *sending) differs(called []byte) bool {
	return len(w.l.differ) > 0 && !w.r.described(w.i) && slices.Contains(w.l.differ, w.l.c.called(called))
}

// misread is true for a statement that the server does not have, if its text would be read in another encoding than when its
// client prepared it: its constants would be other ones. Drivers prepare such a statement again when they are told that its
// result has changed.
func (w *sending) misread(called []byte) bool {
	st := w.l.c.called(called)
	return st != nil && st.Name != "" && !w.l.s.prepared.has(st) && w.l.foreign(st)
}

// foreign is true for a text that is not ASCII and was prepared in another encoding than the client's now, or has a backslash and was prepared where
// that means something else in a string.
func (l *Lease) foreign(st *Statement) bool {
	if st.Under == l.c.settings.parsing && !l.flux {
		return false
	}
	return (!isASCII(st.Body) && l.encodedOtherwise(st)) || (strings.Contains(st.Body, `\`) && l.escapedOtherwise(st))
}

const settingStrings = "standard_conforming_strings"

// escapedOtherwise is true for a text that was prepared under another standard_conforming_strings than the client has now.
func (l *Lease) escapedOtherwise(st *Statement) bool {
	usual := l.c.began(settingStrings, "on")
	was, ok := Settings{all: st.Under}.Get(settingStrings)
	if !ok {
		was = usual
	}
	is, ok := l.c.settings.Get(settingStrings)
	switch {
	case l.flux && l.s.strings != "":
		is = l.s.strings
	case !ok:
		is = usual
	}
	return was != is
}

// encodedOtherwise is true for a text that was prepared in another encoding than the client has now.
func (l *Lease) encodedOtherwise(st *Statement) bool {
	first := l.c.Encoding()
	was, ok := Settings{all: st.Under}.Get(settingEncoding)
	if !ok {
		was = first
	}
	is, ok := l.c.settings.Get(settingEncoding)
	switch {
	case l.flux:
		is = l.s.encoding
	case !ok:
		is = first
	}
	return was != is
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// resolve finds what a name in a Bind or Describe means and has it on the server. nil means that the name passes as it
// is.
func (w *sending) resolve(called []byte, size int) *Statement {
	l := w.l
	st := l.c.called(called)
	if len(called) == 0 {
		switch {
		case st == nil, st.Body == "" && l.s.unnamed != only(st): // none, or one that was too long to be kept
			if l.s.unnamed != none { // what is there is another client's
				w.guards(closing, effect{server: true})
				w.out = wire.AppendText(w.out, wire.Close, "S")
				l.s.unnamed = none
			}
			return nil
		case st.Name == "":
			if l.s.unnamed != only(st) {
				w.unnamedAgain(st)
			}
			return nil
		}
	}
	if st == nil {
		w.guardName(called, size)
		return nil
	}
	st = l.meant(called)
	w.ensure(st)
	return st
}

// unnamedAgain prepares the server's unnamed statement again.
func (w *sending) unnamedAgain(st *Statement) {
	w.guards(parse, effect{server: true})
	w.out = wire.AppendParse(w.out, "", string(st.appendAgain(nil)))
	w.l.s.unnamed = only(st)
}

// meant is the statement that a name of the client's means now, nil if none of that name is known.
func (l *Lease) meant(called []byte) *Statement {
	st := l.c.called(called)
	if st == nil || st.Name == "" {
		return st
	}
	other := l.underSettings(st)
	switch {
	case other == st:
	case len(called) > 0:
		l.rename(string(clip(called)), other)
	default:
		l.c.unnamed = other
	}
	return other
}

// underSettings returns the statement with st's text as it is read under the settings at hand, and by a client that has had
// its first temporary object since: that makes PostgreSQL read all of a session's statements again, but not on a server
// that has seen one before.
func (l *Lease) underSettings(st *Statement) *Statement {
	hidden := st.Age < l.c.hides
	at := st.Age
	if hidden || l.renews {
		at = l.c.Catalog.Age()
	}
	switch {
	case !st.Shared && !hidden: // nobody else's
	case st.Under == l.c.settings.parsing && !l.flux && !l.renews && !hidden:
	case !l.renews && !hidden && l.s.prepared.has(st) && (l.flux || !folds(st.Under, l.c.settings.parsing)):
		// As for a client that has this server to itself: PostgreSQL knows what makes it read a text again.
	case l.foreign(st): // to be had only as it is
	default:
		if st.Shared && !l.flux {
			if other := l.c.Library.Named(st.appendAgain(nil), l.c.settings.parsing, at); other != nil {
				return other
			}
		}
		if hidden || (l.flux && !l.s.prepared.has(st)) {
			other := l.c.Library.Private(st.appendAgain(nil), at)
			if other.Body == st.Body {
				other.Body = st.Body // one text in memory: a client may have all of its statements read anew
			}
			return other
		}
	}
	return st
}
