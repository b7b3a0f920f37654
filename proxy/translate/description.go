package translate

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"
	"sync/atomic"

	"pgguard/proxy/wire"
)

// description is what the first server that was asked has said of a statement: a statement keeps it, on whatever server it is prepared
// again. Any goroutine may call its methods.
type description struct {
	types   atomic.Pointer[[]byte] // of the parameters, as the end of a Parse: their count and their OIDs; nil: not known
	columns atomic.Uint64          // what is told of the result, made short; 0: not known
}

// noColumns is of a statement that returns none, which no change of the database makes it do.
const noColumns = 1

// learn notes what a server has said: types, nil if it was not asked about them, and columns. same: nothing else was known.
func (d *description) learn(types []byte, columns uint64) (same bool) {
	same = d.columns.CompareAndSwap(0, columns) || d.columns.Load() == columns
	if types == nil {
		return same
	}
	if d.types.Load() == nil {
		types = slices.Clone(types)
		d.types.CompareAndSwap(nil, &types)
	}
	return slices.Equal(*d.types.Load(), types) && same
}

// appendAgain appends the body of a Parse that prepares st with the parameter types that it had the first time.
func (st *Statement) appendAgain(dst []byte) []byte {
	types := st.types.Load()
	end := strings.IndexByte(st.Body, 0)
	if types == nil || end < 0 {
		return append(dst, st.Body...)
	}
	return append(append(dst, st.Body[:end+1]...), *types...)
}

// vague is true for a statement of which a server must be asked what it has made of the text: it has parameters, whose types may be
// inferred, or somebody knows what columns it has.
func (st *Statement) vague() bool {
	return strings.Contains(st.Body, "$") || st.columns.Load() > noColumns
}

// typesOf is the end of a Parse with the types of a ParameterDescription, nil if that makes no sense.
func typesOf(body []byte) []byte {
	if len(body) < 2 || len(body) != 2+4*int(binary.BigEndian.Uint16(body)) {
		return nil
	}
	return body
}

// columnsOf is what PostgreSQL compares of the columns in the body of a RowDescription: names and types. The format in which they come,
// and the table that they are from, may change.
func columnsOf(body []byte) uint64 {
	h := fnv.New64a()
	const tail = 18 // table, column, type, size, modifier, format
	for rest := body[min(2, len(body)):]; ; {
		name, after, ok := wire.CString(rest)
		if !ok || len(after) < tail {
			break
		}
		_, _ = h.Write(name)
		_, _ = h.Write(after[6:10])
		_, _ = h.Write(after[12:16])
		rest = after[tail:]
	}
	return max(h.Sum64(), noColumns+1)
}
