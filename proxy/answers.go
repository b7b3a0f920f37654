package proxy

import (
	"bytes"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// emptyIdle answers the empty query outside a transaction.
var emptyIdle = wire.AppendReady(wire.AppendEmpty(nil, wire.EmptyQueryResponse), wire.Idle)

func warning(code, message, routine string) []byte {
	return encode(nil, &pgproto3.NoticeResponse{
		Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: code, Message: message, File: "xact.c", Routine: routine,
	})
}

// PostgreSQL's warnings about transaction blocks, word for word.
var (
	warnInTransaction = warning("25001", "there is already a transaction in progress", "BeginTransactionBlock")
	warnNotCommit     = warning("25P01", "there is no transaction in progress", "EndTransactionBlock")
	warnNotRollback   = warning("25P01", "there is no transaction in progress", "UserAbortTransactionBlock")
)

func warnNoTransaction(c sql.Command) []byte {
	if c == sql.Commit {
		return warnNotCommit
	}
	return warnNotRollback
}

func endTag(c sql.Command) string {
	if c == sql.Commit {
		return "COMMIT"
	}
	return "ROLLBACK"
}

// beginTag returns the tag of a statement known to be BEGIN or START TRANSACTION, or "" if it begins with a comment too
// odd to look behind.
func beginTag(text []byte) string {
	for {
		text = bytes.TrimLeft(text, " \t\r\n\f\v;")
		switch {
		case bytes.HasPrefix(text, []byte("--")):
			_, text, _ = bytes.Cut(text, []byte("\n"))
		case bytes.HasPrefix(text, []byte("/*")):
			comment, rest, ok := bytes.Cut(text[2:], []byte("*/"))
			if !ok || bytes.Contains(comment, []byte("/*")) {
				return ""
			}
			text = rest
		case len(text) > 0 && (text[0] == 'b' || text[0] == 'B'):
			return "BEGIN"
		case len(text) > 0 && (text[0] == 's' || text[0] == 'S'):
			return "START TRANSACTION"
		default:
			return ""
		}
	}
}
