package difference

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"

	"pgguard/proxy/wire"
)

// normaliser writes messages as lines of text that do not differ from one run of a script to another. It replaces
//   - the numbers that PostgreSQL gives to new objects (from 16384), in descriptions: by their order of appearance;
//   - the number in pg_temp_N: which backend a session has got;
//   - the value of pg_backend_pid(), the process in a notification, and BackendKeyData;
//   - the number of what is gone, in an error of its cache, as in descriptions;
//   - in errors and notices the line of PostgreSQL's source, which the guard cannot know for those that it makes itself;
//
// and nothing else. Values that are long are written as their length and checksum.
type normaliser struct {
	seen      map[uint32]int
	pidColumn bool // the rows that come now are of pg_backend_pid()
}

// firstObject is FirstNormalObjectId of PostgreSQL.
const firstObject = 16384

func (n *normaliser) oid(oid uint32) string {
	if oid < firstObject {
		return fmt.Sprint(oid)
	}
	if n.seen == nil {
		n.seen = map[uint32]int{}
	}
	if _, ok := n.seen[oid]; !ok {
		n.seen[oid] = len(n.seen) + 1
	}
	return fmt.Sprintf("new%d", n.seen[oid])
}

var goneObject = regexp.MustCompile(`(cache lookup failed for \w+ )(\d+)$`)

// gone is a text of an error without the number of an object that PostgreSQL has given it.
func (n *normaliser) gone(text string) string {
	m := goneObject.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	number, err := strconv.ParseUint(m[2], 10, 32)
	if err != nil {
		return text
	}
	return strings.TrimSuffix(text, m[2]) + n.oid(uint32(number))
}

var tempSchema = regexp.MustCompile(`pg_(toast_)?temp_\d+`)

// line is one message of the server.
func (n *normaliser) line(typ byte, body []byte) string {
	out := string(typ)
	switch typ {
	case wire.BackendKeyData:
	case wire.RowDescription:
		n.pidColumn = false
		out += n.columns(body)
	case wire.ParameterDescription:
		for b := body[2:]; len(b) >= 4; b = b[4:] {
			out += " " + n.oid(binary.BigEndian.Uint32(b))
		}
	case wire.DataRow:
		if n.pidColumn {
			out += " (pid)"
			break
		}
		out += row(body)
	case wire.ErrorResponse, wire.NoticeResponse:
		for _, f := range strings.Split(strings.TrimRight(string(body), "\x00"), "\x00") {
			if f != "" && f[0] != 'L' {
				out += " " + f[:1] + "=" + shown(n.gone(f[1:]))
			}
		}
	case wire.NotificationResponse:
		out += " " + shown(strings.ReplaceAll(string(body[4:]), "\x00", " "))
	case wire.CommandComplete, wire.ParameterStatus:
		n.pidColumn = n.pidColumn && typ != wire.CommandComplete
		out += " " + shown(strings.TrimSuffix(strings.ReplaceAll(string(body), "\x00", "="), "="))
	default:
		if len(body) > 0 {
			out += " " + shown(string(body))
		}
	}
	return tempSchema.ReplaceAllString(out, "pg_${1}temp_N")
}

// columns is a RowDescription: of each column name, table and number in it, type, length, modifier, format.
func (n *normaliser) columns(body []byte) string {
	var out strings.Builder
	for rest := body[2:]; len(rest) > 0; {
		name, f, ok := wire.CString(rest)
		if !ok || len(f) < 18 {
			return fmt.Sprintf(" (not to be read: %q)", body)
		}
		n.pidColumn = n.pidColumn || string(name) == "pg_backend_pid"
		b := binary.BigEndian
		fmt.Fprintf(&out, " %s(%s.%d %s %d %d %d)", shown(string(name)), n.oid(b.Uint32(f)), b.Uint16(f[4:]),
			n.oid(b.Uint32(f[6:])), int16(b.Uint16(f[10:])), int32(b.Uint32(f[12:])), b.Uint16(f[16:]))
		rest = f[18:]
	}
	return out.String()
}

func row(body []byte) string {
	var out strings.Builder
	for b := body[2:]; len(b) >= 4; {
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size < 0 {
			out.WriteString(" null")
			continue
		}
		out.WriteString(" " + shown(string(b[:size])))
		b = b[size:]
	}
	return out.String()
}

// longValue is the length from which a value is shown by its checksum.
const longValue = 400

// shown is a value between bars, on one line, with a bound on its length.
func shown(v string) string {
	if len(v) > longValue {
		return fmt.Sprintf("|%d bytes, crc %08x|", len(v), crc32.ChecksumIEEE([]byte(v)))
	}
	q := fmt.Sprintf("%q", v)
	if q == `"`+v+`"` && !strings.ContainsAny(v, "| ") && v != "" {
		return v
	}
	return "|" + strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`) + "|"
}
