// Package sql says what a statement may do to the session that runs it, from its text alone.
//
// Scanner reads the text once, as it passes through the proxy, and answers what the pool has to know: does it begin or
// end a transaction, may BEGIN wait for the statement after it, and what may it leave in the session of its server. It is
// pure and does not allocate.
//
// It is no parser. It splits the text into tokens exactly as the server's lexer does, so that nothing hides in a comment,
// a string or a dollar quote, and then looks at the first words of each statement, at a few key words in the rest, and at
// every name with a parenthesis after it. A text that no server accepts may get any answer that is on the safe side, for
// the server parses the whole text before it runs any of it. The answers are of two kinds:
//
//   - sure: Deferrable, PlainBegin, PlainEnd, ReadOnly and the empty query. They are never true by mistake.
//   - suspicions: TxControl, Residue, Undo, Ask, Ddl, Sets, Currval. They may be raised in vain, which costs a question
//     to the server. Where Ask is raised, all the others but TxControl may hold as well.
//
// What no text can tell, and so raises no suspicion (whether there are such functions that leave something, translate asks the server): functions behind operators, casts, column defaults, triggers, views,
// policies and computed columns (t.f for f(t)); a user's own function with the name of a harmless one of the server, of an
// extension in functions_hand.txt, or of a key word that usually stands before a parenthesis (over, filter, value); what
// stands in strings, such as the schema in SET search_path = 'pg_temp'. Every CREATE and SELECT INTO is asked about, so
// that a table made under such a path does not stay unseen.
//
// Two things the text does not say change its meaning. standard_conforming_strings decides whether a backslash escapes
// the quote of a plain string; where that matters the text is Ambiguous. The client's encoding may have characters whose
// second byte looks like ASCII; no quote is such a byte, and where a backslash or a name could be, the scanner suspects.
//
// Beside the scanner are questions about a text that is already suspected or counted: Target, DiscardsAll and
// CustomSettings, which read the whole text lexeme by lexeme, Fingerprint, which does the same without allocating, Normal,
// which is the text without its literals, and Tags. Cache remembers what Scan said. The module in judge holds all of it against PostgreSQL's own parser.
//
// The files: scanner.go (the API), lex.go and strings.go (tokens, in any chunking), skim.go and swar.go (the same for
// the tokens that decide nothing, faster), statement.go, grammar.go and phase.go (what tokens mean), words.go (key words),
// functions.go (what is known about functions; functions_hand.txt says how a name gets there); tokens.go (the lexemes of a
// whole text), target.go, custom.go, sequence.go, fingerprint.go and fingerprint_list.go, normal.go, tags.go, cache.go.
package sql
