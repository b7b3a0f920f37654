package sql

// class sorts bytes by what the scanner does when one begins a token.
type class uint8

// The classes. After a name, those up to classSlash may lead to the parenthesis of a call. Bytes that may go on in a name
// are those from classDigit on.
const (
	classSpace       class = iota
	classOpen              // (
	classDash              // - and perhaps a comment
	classSlash             // / and perhaps a comment
	classSymbol            // operators, brackets, and bytes with no place in SQL
	classQuote             // '
	classDoubleQuote       // "
	classClose             // )
	classDot               // .
	classSemicolon         // ;
	classDigit
	classDollar // $
	classLetter // letters, _ and bytes that are not ASCII
)

// classes is the class of every byte. Vertical tab is white space since PostgreSQL 16.
var classes = func() (t [256]class) {
	for c := range t {
		t[c] = classSymbol
	}
	for _, c := range " \t\n\r\f\v" {
		t[c] = classSpace
	}
	t['\''], t['"'], t['-'], t['/'] = classQuote, classDoubleQuote, classDash, classSlash
	t['('], t[')'], t['.'], t[';'] = classOpen, classClose, classDot, classSemicolon
	t['$'], t['_'] = classDollar, classLetter
	for c := '0'; c <= '9'; c++ {
		t[c] = classDigit
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = classLetter, classLetter
	}
	for c := 128; c < 256; c++ {
		t[c] = classLetter
	}
	return t
}()

// fold is every byte with ASCII letters in lower case, as the server folds unquoted names.
var fold = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

// trail reports whether c, an ASCII byte that cannot go on in a name, may be the second half of a character in a client
// encoding the server converts from, such as SJIS, GBK, BIG5 or JOHAB.
func trail(c byte) bool {
	switch c {
	case ':', ';', '<', '=', '>', '?', '@', '[', '\\', ']', '^', '`', '{', '|', '}', '~':
		return true
	}
	return false
}

// numeral reports whether c, a letter, may stand in a number: hexadecimal digits, an exponent, the x and o of a base, _.
// No key word that matters can be spelled with these alone.
func numeral(c byte) bool {
	c = fold[c]
	return 'a' <= c && c <= 'f' || c == 'x' || c == 'o' || c == '_'
}
