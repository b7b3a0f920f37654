package feature

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// answer is what came back up to a ReadyForQuery.
type answer struct {
	rows      [][]string // values as text; NULL is "NULL"
	columns   []string   // of the last RowDescription
	arguments []uint32   // of the last ParameterDescription
	tags      []string   // of every CommandComplete
	data      []string   // of every CopyData
	types     string     // message types in order, but those that may come at any moment
	err       *pgconn.PgError
	status    byte // of ReadyForQuery
}

// note takes up a message that answers something.
func (a *answer) note(typ byte, body []byte) error {
	a.types += string(rune(typ))
	switch typ {
	case 'T':
		var m pgproto3.RowDescription
		if err := m.Decode(body); err != nil {
			return err
		}
		a.columns = nil
		for _, f := range m.Fields {
			a.columns = append(a.columns, string(f.Name))
		}
	case 'D':
		var m pgproto3.DataRow
		if err := m.Decode(body); err != nil {
			return err
		}
		row := make([]string, len(m.Values))
		for i, v := range m.Values {
			if row[i] = string(v); v == nil {
				row[i] = "NULL"
			}
		}
		a.rows = append(a.rows, row)
	case 'C':
		a.tags = append(a.tags, strings.TrimRight(string(body), "\x00"))
	case 'd':
		a.data = append(a.data, string(body))
	case 't':
		var m pgproto3.ParameterDescription
		if err := m.Decode(body); err != nil {
			return err
		}
		a.arguments = m.ParameterOIDs
	case 'E':
		var m pgproto3.ErrorResponse
		if err := m.Decode(body); err != nil {
			return err
		}
		if a.err == nil {
			a.err = pgconn.ErrorResponseToPgError(&m)
		}
	}
	return nil
}

// value is the first column of the first row, "" without one.
func (a *answer) value() string {
	if len(a.rows) == 0 || len(a.rows[0]) == 0 {
		return ""
	}
	return a.rows[0][0]
}

// code is the SQLSTATE of the first error, "" without one.
func (a *answer) code() string {
	if a.err == nil {
		return ""
	}
	return a.err.Code
}

// text is all rows, columns joined by "|" and rows by ",".
func (a *answer) text() string {
	var rows []string
	for _, r := range a.rows {
		rows = append(rows, strings.Join(r, "|"))
	}
	return strings.Join(rows, ",")
}

// wrong describes an error for the table: severity, code and text in few words.
func wrong(e *pgconn.PgError) string {
	return fmt.Sprintf("%s %s %s", e.Severity, e.Code, e.Message)
}
