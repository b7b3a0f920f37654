package sql

// sequence is lexemes with the one before the last, where that decides what the last one is.
type sequence struct {
	lexemes
	before   kind   // of the lexeme before this one; kindEnd at the start
	previous []byte // that lexeme
	end      int    // of it in the text
}

// passed makes the last lexeme the one before the next.
func (q *sequence) passed() { q.before, q.previous, q.end = q.kind, q.text, q.i }

// continues reports whether the last lexeme, a string, goes on with the string before it.
func (q *sequence) continues() bool {
	if q.kind != kindString || !q.before.literal() {
		return false
	}
	start := q.i - len(q.text)
	return continued(q.p[:start+1], q.end) > 0
}

// sign reports whether the last lexeme is the sign of a number.
func (q *sequence) sign() bool {
	if len(q.text) > 1 || q.text[0] != '-' && q.text[0] != '+' {
		return false
	}
	switch q.before {
	case kindOperator, kindEnd:
	case kindSymbol:
		if c := q.previous[0]; c == ')' || c == ']' {
			return false
		}
	case kindName:
		var buf [MaxName]byte
		word := buf[:copy(buf[:], q.previous)]
		for i, c := range word {
			word[i] = fold[c]
		}
		if (!reserved[string(word)] || endsValue[string(word)]) && string(word) != "between" {
			return false
		}
	default:
		return false
	}
	rest := q.lexemes
	return rest.next() && rest.kind == kindNumber
}

// endsValue has the reserved words after which + and - stand between two values.
var endsValue = map[string]bool{
	"null": true, "true": true, "false": true, "default": true, "end": true, "user": true, "session_user": true,
	"system_user": true, "current_user": true, "current_role": true, "current_catalog": true, "current_schema": true,
	"current_date": true, "current_time": true, "current_timestamp": true, "localtime": true, "localtimestamp": true,
}
