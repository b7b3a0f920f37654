package console

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// talk is a client of a console, PgBouncer's or ours, that writes down what it is told.
type talk struct {
	nc net.Conn
	f  *pgproto3.Frontend
}

// patience bounds every answer.
const patience = 20 * time.Second

// call connects and logs in without a password; told is what was said up to ReadyForQuery, or to the end.
func call(t *testing.T, network, address, user, database string) (k *talk, told []string) {
	t.Helper()
	nc, err := net.DialTimeout(network, address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	k = &talk{nc, pgproto3.NewFrontend(pgproto3.NewChunkReader(nc), nc)}
	k.send(t, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{
		"user": user, "database": database, "application_name": "talk",
	}})
	return k, k.hear(t)
}

func (k *talk) send(t *testing.T, messages ...pgproto3.FrontendMessage) {
	t.Helper()
	_ = k.nc.SetDeadline(time.Now().Add(patience))
	var out []byte
	for _, m := range messages {
		var err error
		if out, err = m.Encode(out); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.nc.Write(out); err != nil {
		t.Fatal(err)
	}
}

// ask sends one query and returns what is said to it.
func (k *talk) ask(t *testing.T, text string) []string {
	t.Helper()
	k.send(t, &pgproto3.Query{String: text})
	return k.hear(t)
}

// hear returns what is said up to ReadyForQuery or the end, a line for each message; rows are counted as one.
func (k *talk) hear(t *testing.T) (lines []string) {
	t.Helper()
	for {
		m, err := k.f.Receive()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err != nil && strings.Contains(err.Error(), "reset") {
			return append(lines, "closed")
		}
		if err != nil {
			t.Fatal(err, lines)
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			return append(lines, fmt.Sprintf("ready %c", m.TxStatus))
		case *pgproto3.RowDescription:
			for _, c := range m.Fields {
				lines = append(lines, fmt.Sprintf("column %s %d size %d mod %d format %d table %d.%d", c.Name, c.DataTypeOID, c.DataTypeSize, c.TypeModifier, c.Format,
					c.TableOID, c.TableAttributeNumber))
			}
		case *pgproto3.DataRow:
			var values []string
			for _, v := range m.Values {
				values = append(values, string(v))
			}
			lines = append(lines, "row "+strings.Join(values, "|"))
		case *pgproto3.ErrorResponse:
			lines = append(lines, fmt.Sprintf("error %s %s %s: %s", m.Severity, m.SeverityUnlocalized, m.Code, m.Message))
		case *pgproto3.NoticeResponse:
			lines = append(lines, fmt.Sprintf("notice %s %s: %s %q", m.Severity, m.Code, m.Message, m.Detail))
		case *pgproto3.CommandComplete:
			lines = append(lines, "tag "+string(m.CommandTag))
		case *pgproto3.ParameterStatus:
			lines = append(lines, fmt.Sprintf("setting %s=%s", m.Name, m.Value))
		case *pgproto3.BackendKeyData:
			lines = append(lines, "key")
		default:
			lines = append(lines, fmt.Sprintf("%T", m))
		}
	}
}
