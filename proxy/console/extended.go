package console

import (
	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/wire"
)

// statement is a command that may be carried out.
type statement struct {
	columns []column // of what it shows; nil: it shows nothing
	run     func(s *session) (result, error)
}

// result is what a statement has done.
type result struct {
	rows    []row
	tag     string
	notices []*pgproto3.NoticeResponse // said before
}

// portal is a statement that is being carried out.
type portal struct {
	statement *statement
	formats   []int16
	done      *result // nil: it has not begun
}

// maxPrepared is how many statements, and portals, an operator may have: more than any tool has commands.
const maxPrepared = 100

// extended deals with a message of the extended protocol. PgBouncer's console does not take them; drivers that send nothing else find ours.
func (s *session) extended(typ byte, body []byte) error {
	var m interface {
		pgproto3.FrontendMessage
		Decode(data []byte) error
	}
	switch typ {
	case wire.Parse:
		m = &pgproto3.Parse{}
	case wire.Bind:
		m = &pgproto3.Bind{}
	case wire.Describe:
		m = &pgproto3.Describe{}
	case wire.Execute:
		m = &pgproto3.Execute{}
	case wire.Close:
		m = &pgproto3.Close{}
	case wire.Flush:
		return nil // all that is said goes out before the next message is read
	}
	if err := decode(m, body); err != nil {
		return &failure{code: "08P01", message: "invalid message format", fatal: true}
	}
	switch m := m.(type) {
	case *pgproto3.Parse:
		return s.parse(m)
	case *pgproto3.Bind:
		return s.bind(m)
	case *pgproto3.Describe:
		return s.describe(m.ObjectType, m.Name)
	case *pgproto3.Execute:
		return s.execute(m)
	case *pgproto3.Close:
		if m.ObjectType == 'S' {
			delete(s.statements, m.Name)
		} else {
			delete(s.portals, m.Name)
		}
		s.say(&pgproto3.CloseComplete{})
	}
	return nil
}

// decode has a message read, whatever is in it.
func decode(m interface{ Decode(data []byte) error }, body []byte) (err error) {
	defer func() {
		if recover() != nil { // the decoder reads past the end of some that are cut short
			err = errLeft
		}
	}()
	return m.Decode(body)
}

func (s *session) parse(m *pgproto3.Parse) error {
	if m.Name != "" && s.statements[m.Name] != nil {
		return &failure{code: "42P05", message: "prepared statement \"" + m.Name + "\" already exists"}
	}
	if len(s.statements) >= maxPrepared {
		return &failure{code: "53400", message: "too many prepared statements for a console"}
	}
	if len(m.ParameterOIDs) > 0 {
		return failed("commands of the console have no parameters")
	}
	st, err := s.prepare(m.Query)
	if err != nil {
		return err
	}
	s.statements[m.Name] = st
	s.say(&pgproto3.ParseComplete{})
	return nil
}

func (s *session) bind(m *pgproto3.Bind) error {
	st := s.statements[m.PreparedStatement]
	switch {
	case st == nil:
		return &failure{code: "26000", message: "prepared statement \"" + m.PreparedStatement + "\" does not exist"}
	case len(m.Parameters) > 0:
		return failed("commands of the console have no parameters")
	case len(s.portals) >= maxPrepared:
		return &failure{code: "53400", message: "too many portals for a console"}
	case len(m.ResultFormatCodes) > 1 && len(m.ResultFormatCodes) != len(st.columns):
		return failed("bind message has %d result formats but query has %d columns", len(m.ResultFormatCodes), len(st.columns))
	}
	for _, f := range m.ResultFormatCodes {
		if f != asText && f != asBinary {
			return failed("unsupported format code: %d", f)
		}
	}
	s.portals[m.DestinationPortal] = &portal{statement: st, formats: append([]int16(nil), m.ResultFormatCodes...)}
	s.say(&pgproto3.BindComplete{})
	return nil
}

// describe tells which columns a statement or a portal has.
func (s *session) describe(what byte, name string) error {
	var st *statement
	var formats []int16
	if what == 'S' {
		if st = s.statements[name]; st == nil {
			return &failure{code: "26000", message: "prepared statement \"" + name + "\" does not exist"}
		}
		s.say(&pgproto3.ParameterDescription{})
	} else {
		p := s.portals[name]
		if p == nil {
			return &failure{code: "34000", message: "portal \"" + name + "\" does not exist"}
		}
		st, formats = p.statement, p.formats
	}
	if st.columns == nil {
		s.say(&pgproto3.NoData{})
		return nil
	}
	s.say(describe(st.columns, formats))
	return nil
}

func (s *session) execute(m *pgproto3.Execute) error {
	p := s.portals[m.Portal]
	if p == nil {
		return &failure{code: "34000", message: "portal \"" + m.Portal + "\" does not exist"}
	}
	if p.done == nil {
		done, err := p.statement.run(s)
		if err != nil {
			return err
		}
		p.done = &done
		s.remark(done.notices)
	}
	rows := p.done.rows
	if n := int(m.MaxRows); n > 0 && len(rows) > n {
		rows = rows[:n]
	}
	for _, r := range rows {
		s.say(r.encode(p.statement.columns, p.formats))
	}
	if p.done.rows = p.done.rows[len(rows):]; len(p.done.rows) > 0 {
		s.say(&pgproto3.PortalSuspended{})
		return nil
	}
	s.say(&pgproto3.CommandComplete{CommandTag: []byte(p.done.tag)})
	return nil
}
