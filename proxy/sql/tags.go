package sql

import (
	"bytes"
	"iter"
)

// maxTags is the longest comment that is read for tags; those of frameworks have some hundred bytes.
const maxTags = 2 << 10

// Tags yields the keys and values in the comment that ends text, and then those in the comment that begins it. A comment
// is either of sqlcommenter's form,
//
//	/*action='index',job='Admin%3A%3APublishJob'*/
//
// or of that of marginalia and Rails' own,
//
//	/*application:shop,job:Admin::PublishJob*/
//
// and one that is neither in every part, or longer than 2 KiB, has no tags. Nothing is allocated but for values that
// need decoding; all others, and the keys, are parts of text. Whoever wrote the text wrote the tags: do not trust them
// with more than the client may do anyway.
func Tags(text []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		trailing := trailingComment(text)
		if !eachTag(trailing, yield) {
			return
		}
		if leading := leadingComment(text); len(trailing) == 0 || len(leading) > 0 && &leading[0] != &trailing[0] {
			eachTag(leading, yield)
		}
	}
}

// Tag returns the value of the first tag with the key that Tags yields.
func Tag(text []byte, key string) (value []byte, ok bool) {
	for k, v := range Tags(text) {
		if string(k) == key {
			return v, true
		}
	}
	return nil, false
}

// trailingComment returns what is in the comment that ends text, or nil. A text that ends in */ ends in a comment, or no
// server accepts it.
func trailingComment(text []byte) []byte {
	end := len(text)
	for end > 0 && (classes[text[end-1]] == classSpace || text[end-1] == ';') {
		end--
	}
	text, ok := bytes.CutSuffix(text[max(0, end-maxTags):end], []byte("*/"))
	if !ok {
		return nil
	}
	begin := bytes.LastIndex(text, []byte("/*"))
	if begin < 0 || bytes.Contains(text[begin:], []byte("*/")) { // others are in it
		return nil
	}
	return text[begin+2:]
}

// leadingComment returns what is in the comment that begins text, or nil.
func leadingComment(text []byte) []byte {
	begin := 0
	for begin < len(text) && classes[text[begin]] == classSpace {
		begin++
	}
	text, ok := bytes.CutPrefix(text[begin:min(len(text), begin+maxTags)], []byte("/*"))
	if !ok {
		return nil
	}
	end := bytes.Index(text, []byte("*/"))
	if end < 0 || bytes.Contains(text[:end], []byte("/*")) {
		return nil
	}
	return text[:end]
}

// eachTag yields the tags of a comment, if all of it is well formed, and reports whether yield wants more.
func eachTag(comment []byte, yield func(key, value []byte) bool) bool {
	var t tag
	for t.rest = comment; t.cut(); {
	}
	if t.malformed {
		return true
	}
	for t = (tag{rest: comment}); t.cut(); {
		if t.encoded {
			t.value = decode(t.value)
		}
		if !yield(t.key, t.value) {
			return false
		}
	}
	return true
}

// tag is one part of a comment.
type tag struct {
	key, value []byte
	encoded    bool // value is not yet what it stands for
	rest       []byte
	form       byte // = or :, which must be the same in the whole comment
	malformed  bool
}

// cut reads the next tag from rest, and reports whether there is one.
func (t *tag) cut() bool {
	t.rest = bytes.TrimLeft(t.rest, " \t\r\n")
	if len(t.rest) == 0 {
		return false
	}
	n := 0
	for n < len(t.rest) && keyByte(t.rest[n]) {
		n++
	}
	if n == 0 || n == len(t.rest) || t.form != 0 && t.form != t.rest[n] {
		return t.fail()
	}
	t.key, t.form = t.rest[:n], t.rest[n]
	t.rest = t.rest[n+1:]
	switch t.form {
	case '=':
		return t.cutQuoted()
	case ':':
		return t.cutPlain()
	}
	return t.fail()
}

// fail notes that the comment has no tags.
func (t *tag) fail() bool {
	t.malformed = true
	return false
}

// keyByte reports whether c may stand in a key. One that is not here would have to be encoded.
func keyByte(c byte) bool {
	return classes[c] == classLetter && c < 0x80 || classes[c] == classDigit || c == '-' || c == '.'
}

// cutPlain reads the value after key: up to a comma.
func (t *tag) cutPlain() bool {
	value, rest, more := bytes.Cut(t.rest, []byte(","))
	t.value, t.rest = bytes.TrimRight(value, " \t\r\n"), rest
	if more && len(rest) == 0 {
		return t.fail()
	}
	return true
}

// cutQuoted reads the value after key= in its quotes. In it a backslash escapes a quote.
func (t *tag) cutQuoted() bool {
	p := t.rest
	if len(p) == 0 || p[0] != '\'' {
		return t.fail()
	}
	t.encoded = false
	n := 1
	for ; n < len(p) && p[n] != '\''; n++ {
		switch p[n] {
		case '\\':
			t.encoded = true
			n++
		case '%':
			t.encoded = true
			if n+2 >= len(p) || !hexadecimal(p[n+1]) || !hexadecimal(p[n+2]) {
				return t.fail()
			}
		}
	}
	if n >= len(p) {
		return t.fail()
	}
	t.value = p[1:n]
	t.rest = bytes.TrimLeft(p[n+1:], " \t\r\n")
	if len(t.rest) == 0 {
		return true
	}
	if t.rest[0] != ',' || len(t.rest) == 1 {
		return t.fail()
	}
	t.rest = t.rest[1:]
	return true
}

// hexadecimal reports whether c is a digit of base 16.
func hexadecimal(c byte) bool { return classes[c] == classDigit || 'a' <= c|0x20 && c|0x20 <= 'f' }

// decode returns what the value p of sqlcommenter's form stands for.
func decode(p []byte) []byte {
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '\\':
			i++
			out = append(out, p[i])
		case '%':
			out = append(out, nibble(p[i+1])<<4|nibble(p[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

// nibble is the value of a digit of base 16.
func nibble(c byte) byte {
	if c >= 'A' {
		return c&0xf + 9
	}
	return c & 0xf
}
