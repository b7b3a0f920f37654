package proxy

import (
	"bytes"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// emptyIdle answers the empty query outside a transaction.
var emptyIdle = wire.AppendReady(wire.AppendEmpty(nil, wire.EmptyQueryResponse), wire.Idle)

// plainBegin is what is sent to a server for a deferred BEGIN without modes.
var plainBegin = wire.AppendText(nil, wire.Query, "BEGIN")

// plainBoundBegin is the same where the client's came by the extended protocol.
var plainBoundBegin = appendBoundBegin(nil, nil)

// discardSequences forgets what a server remembers of sequences, so that a client cannot read another's.
var discardSequences = wire.AppendText(nil, wire.Query, "DISCARD SEQUENCES")

// discardSequencesBeside is the same for the middle of a transaction or a batch: the client's unnamed statement and portal
// stay, and it has no ReadyForQuery.
var discardSequencesBeside = func() []byte {
	const name = statementPrefix + "discard"
	p := wire.AppendParse(nil, name, "DISCARD SEQUENCES\x00\x00\x00")
	p = wire.AppendMessage(p, wire.Bind, []byte(name+"\x00"+name+"\x00\x00\x00\x00\x00\x00\x00"))
	p = wire.AppendMessage(p, wire.Execute, []byte(name+"\x00\x00\x00\x00\x00"))
	p = wire.AppendText(p, wire.Close, "P"+name)
	return wire.AppendText(p, wire.Close, "S"+name)
}()

// changedResult is PostgreSQL's error for a prepared statement whose columns have changed.
var changedResult = encode(nil, &pgproto3.ErrorResponse{
	Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "0A000", Message: "cached plan must not change result type",
	File: "plancache.c", Routine: "RevalidateCachedQuery",
})

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
