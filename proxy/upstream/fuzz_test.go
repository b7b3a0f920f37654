package upstream

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// spoken stands in a fuzzed stream for the nonce that the guard has chosen; it is as long.
const spoken = "NONCENONCENONCENONCENONC"

// far is a connection to a server on another machine that says what it says whatever it is told.
type far struct {
	net.Conn
	says  []byte
	piece int
	told  []byte
}

func (c *far) Read(p []byte) (int, error) {
	if len(c.says) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.piece)], c.says)
	c.says = c.says[n:]
	return n, nil
}

func (c *far) Write(p []byte) (int, error) {
	if _, nonce, ok := bytes.Cut(p, []byte("n=,r=")); ok {
		c.says = bytes.ReplaceAll(c.says, []byte(spoken), nonce[:min(len(nonce), len(spoken))])
	}
	c.told = append(c.told, p...)
	return len(p), nil
}

func (c *far) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5432} }
func (c *far) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 1} }

// FuzzLogin has a server say anything during a login, and to the question behind it: it is believed only if it asked for no proof that it would
// have had to answer by its own; the password does not go to it as it is, nor into an error; and it has nothing grow beyond what a login has.
func FuzzLogin(f *testing.F) {
	challenge := "r=" + spoken + "more,s=" + base64.StdEncoding.EncodeToString([]byte("salt")) + ",i=1"
	end := slices.Concat(ask(0, ""), wire.AppendText(nil, wire.ParameterStatus, "server_version", "18.0"), wire.AppendKey(nil, 1, []byte("1234")), wire.AppendReady(nil, wire.Idle))
	row := slices.Concat(wire.AppendMessage(nil, wire.DataRow, append([]byte{0, 1, 0, 0, 0, 1}, 't')), wire.AppendText(nil, wire.CommandComplete, "SELECT 1"),
		wire.AppendReady(nil, wire.Idle))
	sasl := ask(pgproto3.AuthTypeSASL, auth.Mechanism+"\x00\x00")
	for _, says := range [][]byte{
		append(slices.Clone(end), row...),
		slices.Concat(ask(pgproto3.AuthTypeMD5Password, "salt"), end),
		slices.Concat(ask(pgproto3.AuthTypeCleartextPassword, ""), end),
		slices.Concat(sasl, ask(pgproto3.AuthTypeSASLContinue, challenge), ask(pgproto3.AuthTypeSASLFinal, "v=AAAA"), end),
		slices.Concat(wire.AppendNegotiate(nil, wire.Version30, []string{"_pq_.x"}), end),
		wire.AppendText(nil, wire.ErrorResponse, "SFATAL", "C28P01", "Mno", ""),
		wire.AppendText(nil, wire.NoticeResponse, "SNOTICE", ""),
		ask(pgproto3.AuthTypeSASL, auth.MechanismPlus+"\x00"),
		binary.BigEndian.AppendUint32([]byte{'R'}, 1<<31),
	} {
		f.Add(says, byte(0), true)
		f.Add(says, byte(255), false)
	}
	const password = "correct horse"
	f.Fuzz(func(t *testing.T, says []byte, piece byte, asks bool) {
		if i := bytes.Index(says, []byte(",i=")); i >= 0 && len(says) > i+7 && strings.Trim(string(says[i+3:i+7]), "0123456789") == "" {
			return // a thousand iterations and more, which are bounded elsewhere
		}
		c := &far{says: slices.Clone(says), piece: 1 + int(piece)}
		h := &Handshake{User: "app", Password: password, Params: map[string]string{"user": "app", "database": "shop"}}
		if asks {
			h.Question = "select true"
		}
		err := h.run(c, wire.Version32)
		if bytes.Contains(c.told, []byte(password)) {
			t.Fatal("a server far away was told the password")
		}
		if len(h.Reported) > maxReported || cap(h.Rest) > 2*maxLogin || h.taken > maxLogin+cap(h.Rest) {
			t.Fatalf("%d settings, room for %d bytes, %d bytes", len(h.Reported), cap(h.Rest), h.taken)
		}
		switch {
		case err == nil && (h.phase != phaseIn || h.scram != nil):
			t.Fatal("a server was believed that did not prove that it knows the password")
		case err != nil && strings.Contains(err.Error(), password):
			t.Fatalf("the password is in %v", err)
		}
		if len(h.Secret) > MaxSecret {
			t.Fatalf("a key of %d bytes", len(h.Secret))
		}
	})
}

// FuzzTLSAnswer has a server answer the question for TLS with anything: it has it, has it not, or is refused, and nothing behind the answer is read.
func FuzzTLSAnswer(f *testing.F) {
	f.Add([]byte("S"))
	f.Add([]byte("N"))
	f.Add([]byte("SR\x00\x00\x00\x08\x00\x00\x00\x00"))
	f.Add(wire.AppendText(nil, wire.ErrorResponse, "SFATAL", "C08P01", "Mno", ""))
	f.Fuzz(func(t *testing.T, says []byte) {
		c := &far{says: slices.Clone(says), piece: 1 << 10}
		has, err := askTLS(c)
		switch {
		case err == nil && has != (says[0] == 'S'), err == nil && !has && says[0] != 'N':
			t.Fatalf("%q: TLS %t", says, has)
		case err == nil && len(c.says) != len(says)-1:
			t.Fatalf("%d bytes were read", len(says)-len(c.says))
		}
	})
}

var _ net.Conn = (*far)(nil)

func (c *far) SetDeadline(time.Time) error { return nil }
