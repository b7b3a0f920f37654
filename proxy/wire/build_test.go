package wire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/jackc/pgproto3/v2"
)

// TestBuiltMessagesAreWhatPgproto3Reads decodes what this package builds with another's decoder.
func TestBuiltMessagesAreWhatPgproto3Reads(t *testing.T) {
	stream := AppendReady(nil, Failed)
	stream = AppendEmpty(stream, EmptyQueryResponse)
	stream = AppendText(stream, CommandComplete, "BEGIN")
	stream = AppendText(stream, ParameterStatus, "TimeZone", "Europe/Berlin")
	stream = AppendKey(stream, 4711, []byte{1, 2, 3, 4})
	f := pgproto3.NewFrontend(pgproto3.NewChunkReader(bytes.NewReader(stream)), nil)
	for _, want := range []pgproto3.BackendMessage{
		&pgproto3.ReadyForQuery{TxStatus: 'E'},
		&pgproto3.EmptyQueryResponse{},
		&pgproto3.CommandComplete{CommandTag: []byte("BEGIN")},
		&pgproto3.ParameterStatus{Name: "TimeZone", Value: "Europe/Berlin"},
		&pgproto3.BackendKeyData{ProcessID: 4711, SecretKey: 0x01020304},
	} {
		got, err := f.Receive()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, %v, want %#v", got, err, want)
		}
	}
	b := pgproto3.NewBackend(pgproto3.NewChunkReader(bytes.NewReader(AppendText(nil, Query, "select 1"))), nil)
	if got, err := b.Receive(); err != nil || !reflect.DeepEqual(got, &pgproto3.Query{String: "select 1"}) {
		t.Errorf("got %#v, %v", got, err)
	}
}

// Bytes as they stand in PostgreSQL's manual, chapter "Message Formats".
func TestBuiltMessagesByteForByte(t *testing.T) {
	tests := map[string]struct{ got, want []byte }{
		"ReadyForQuery": {AppendReady(nil, Idle), []byte("Z\x00\x00\x00\x05I")},
		"Sync":          {AppendEmpty(nil, Sync), []byte("S\x00\x00\x00\x04")},
		"Query":         {AppendText(nil, Query, "a"), []byte("Q\x00\x00\x00\x06a\x00")},
		"no text":       {AppendText(nil, Query, ""), []byte("Q\x00\x00\x00\x05\x00")},
		"long key":      {AppendKey(nil, 1, []byte("12345678")), []byte("K\x00\x00\x00\x10\x00\x00\x00\x0112345678")},
		"cancel":        {AppendCancel(nil, 258, []byte("abcd")), []byte("\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x01\x02abcd")},
		"negotiate": {
			AppendNegotiate(nil, Version32, []string{"_pq_.a", "_pq_.b"}),
			[]byte("v\x00\x00\x00\x1a\x00\x03\x00\x02\x00\x00\x00\x02_pq_.a\x00_pq_.b\x00"),
		},
		"appended": {AppendReady([]byte("x"), Idle), []byte("xZ\x00\x00\x00\x05I")},
	}
	for name, tt := range tests {
		if !bytes.Equal(tt.got, tt.want) {
			t.Errorf("%s is %q, want %q", name, tt.got, tt.want)
		}
	}
}
