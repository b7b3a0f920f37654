package console

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/jackc/pgproto3/v2"
)

// kind is the type of a column.
type kind struct {
	oid  uint32
	size int16
}

// The kinds, as PgBouncer gives them.
var (
	text    = kind{25, -1}
	int4    = kind{23, 4}
	int8    = kind{20, 8}
	numeric = kind{1700, -1}
	bytea   = kind{17, -1}
)

// column is one of a table.
type column struct {
	name string
	kind kind
}

// columns makes a list of columns of the same kind.
func columns(k kind, names ...string) []column {
	list := make([]column, len(names))
	for i, name := range names {
		list[i] = column{name, k}
	}
	return list
}

// row is one of a table: for each column a string, an int, an int64, a uint64, or nil for NULL.
type row []any

// Formats of values.
const (
	asText   = 0
	asBinary = 1
)

// describe is the RowDescription of columns in these formats.
func describe(list []column, formats []int16) *pgproto3.RowDescription {
	m := &pgproto3.RowDescription{Fields: make([]pgproto3.FieldDescription, len(list))}
	for i, c := range list {
		m.Fields[i] = pgproto3.FieldDescription{
			Name: []byte(c.name), DataTypeOID: c.kind.oid, DataTypeSize: c.kind.size, TypeModifier: -1, Format: formatOf(formats, i),
		}
	}
	return m
}

// formatOf is the format of column i: all have the text format, or the one that is given, or each its own.
func formatOf(formats []int16, i int) int16 {
	switch len(formats) {
	case 0:
		return asText
	case 1:
		return formats[0]
	}
	return formats[i]
}

// encode returns a row's DataRow.
func (r row) encode(list []column, formats []int16) *pgproto3.DataRow {
	m := &pgproto3.DataRow{Values: make([][]byte, len(list))}
	for i, c := range list {
		m.Values[i] = c.kind.encode(r[i], formatOf(formats, i))
	}
	return m
}

// encode writes one value; nil is NULL. A number that its column has no room for is the largest that it has.
func (k kind) encode(v any, format int16) []byte {
	var n int64
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []byte(v)
	case int:
		n = int64(v)
	case int64:
		n = v
	case uint64:
		n = int64(min(v, math.MaxInt64))
	default:
		panic("console: a value of a type that no column has")
	}
	if k == int4 {
		n = max(math.MinInt32, min(n, math.MaxInt32))
	}
	switch {
	case format == asText || k == text:
		return strconv.AppendInt(nil, n, 10)
	case k == int4:
		return binary.BigEndian.AppendUint32(nil, uint32(int32(n)))
	case k == int8:
		return binary.BigEndian.AppendUint64(nil, uint64(n))
	}
	return encodeNumeric(n)
}

// encodeNumeric writes a whole number as PostgreSQL's numeric: digits to the base of 10,000.
func encodeNumeric(n int64) []byte {
	sign := uint16(0)
	u := uint64(n)
	if n < 0 {
		sign, u = 0x4000, -u
	}
	var digits []uint16
	for ; u > 0; u /= 10_000 {
		digits = append(digits, uint16(u%10_000))
	}
	out := binary.BigEndian.AppendUint16(nil, uint16(len(digits)))
	out = binary.BigEndian.AppendUint16(out, uint16(max(0, len(digits)-1))) // weight of the first
	out = binary.BigEndian.AppendUint16(out, sign)
	out = binary.BigEndian.AppendUint16(out, 0) // digits after the point
	for i := len(digits) - 1; i >= 0; i-- {
		out = binary.BigEndian.AppendUint16(out, digits[i])
	}
	return out
}
