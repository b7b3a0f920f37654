package pgtest

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgproto3/v2"
	"github.com/xdg-go/scram"

	"pgguard/proxy/wire"
)

// AcceptLogin logs the client in without a password. It reports what PostgreSQL reports, with params in place of or
// beside the usual values, and a process id and key of the connection's own.
func AcceptLogin(params map[string]string) Step {
	return Step{"AcceptLogin", func(c *fakeConn) error {
		if err := c.readStartup(); err != nil {
			return err
		}
		return c.welcome(params)
	}}
}

// AcceptCleartext logs the client in with a password sent as it is; a wrong one gets FATAL 28P01.
func AcceptCleartext(password string) Step {
	return Step{"AcceptCleartext", func(c *fakeConn) error {
		return c.login(&pgproto3.AuthenticationCleartextPassword{}, pgproto3.AuthTypeCleartextPassword,
			func() string { return password })
	}}
}

// AcceptMD5 logs the client in with an md5 password; a wrong one gets FATAL 28P01.
func AcceptMD5(password string) Step {
	return Step{"AcceptMD5", func(c *fakeConn) error {
		ask := &pgproto3.AuthenticationMD5Password{}
		if _, err := rand.Read(ask.Salt[:]); err != nil {
			return err
		}
		return c.login(ask, pgproto3.AuthTypeMD5Password, func() string {
			inner := md5hex(password + c.startup["user"])
			return "md5" + md5hex(inner+string(ask.Salt[:]))
		})
	}}
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// login asks for a password in one message and compares the answer with want, which is called after the startup
// packet has been read.
func (c *fakeConn) login(ask pgproto3.BackendMessage, authType uint32, want func() string) error {
	if err := c.readStartup(); err != nil {
		return err
	}
	got, err := c.ask(ask, authType)
	if err != nil {
		return err
	}
	m, ok := got.(*pgproto3.PasswordMessage)
	if !ok {
		return fmt.Errorf("expected a password, got %T", got)
	}
	if m.Password != want() {
		return c.turnAway()
	}
	return c.welcome(nil)
}

// ask sends an authentication request and reads the answer. A client without a password leaves here, as psql does.
func (c *fakeConn) ask(m pgproto3.BackendMessage, authType uint32) (pgproto3.FrontendMessage, error) {
	if err := c.send(m); err != nil {
		return nil, err
	}
	if err := c.be.SetAuthType(authType); err != nil {
		return nil, err
	}
	c.mayEnd = true
	return c.receive("an answer to the password request")
}

// turnAway answers a wrong password as PostgreSQL does and ends the script.
func (c *fakeConn) turnAway() error {
	msg := fmt.Sprintf("password authentication failed for user %q", c.startup["user"])
	return errors.Join(c.send(fatal("28P01", msg)), errOver)
}

// AcceptSCRAM logs the client in with SCRAM-SHA-256; a wrong password gets FATAL 28P01.
func AcceptSCRAM(password string) Step {
	return Step{"AcceptSCRAM", func(c *fakeConn) error {
		reply, err := c.scram(password)
		if err != nil {
			return err
		}
		if err := c.send(&pgproto3.AuthenticationSASLFinal{Data: []byte(reply)}); err != nil {
			return err
		}
		return c.welcome(nil)
	}}
}

// scram has the client prove that it knows the password, and returns the server's own proof.
func (c *fakeConn) scram(password string) (reply string, err error) {
	conv, err := newVerifier(password)
	if err != nil {
		return "", err
	}
	first, err := c.offerSCRAM()
	if err != nil {
		return "", err
	}
	if reply, err = conv.Step(first); err != nil {
		return "", fmt.Errorf("read the client's first message of %s: %w", mechanism, err)
	}
	got, err := c.ask(&pgproto3.AuthenticationSASLContinue{Data: []byte(reply)}, pgproto3.AuthTypeSASLContinue)
	if err != nil {
		return "", err
	}
	proof, ok := got.(*pgproto3.SASLResponse)
	if !ok {
		return "", fmt.Errorf("expected the last message of %s, got %T", mechanism, got)
	}
	reply, err = conv.Step(string(proof.Data))
	if err != nil || !conv.Valid() {
		return "", c.turnAway()
	}
	return reply, nil
}

// offerSCRAM returns the client's first message.
func (c *fakeConn) offerSCRAM() (string, error) {
	if err := c.readStartup(); err != nil {
		return "", err
	}
	got, err := c.ask(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{mechanism}}, pgproto3.AuthTypeSASL)
	if err != nil {
		return "", err
	}
	first, ok := got.(*pgproto3.SASLInitialResponse)
	if !ok || first.AuthMechanism != mechanism {
		return "", fmt.Errorf("expected the first message of %s, got %T", mechanism, got)
	}
	return string(first.Data), nil
}

const mechanism = "SCRAM-SHA-256"

// newVerifier begins the server's side of SCRAM for one password, whatever name the client sends: in PostgreSQL the
// name in the startup packet counts.
func newVerifier(password string) (*scram.ServerConversation, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		return nil, err
	}
	salt := rand.Text()
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: salt, Iters: 4096})
	if err != nil {
		return nil, err
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		return nil, err
	}
	return server.NewConversation(), nil
}

// reported are the parameters every PostgreSQL reports at login, less those that come from the startup packet.
var reported = map[string]string{
	"DateStyle":                     "ISO, MDY",
	"IntervalStyle":                 "postgres",
	"TimeZone":                      "UTC",
	"client_encoding":               "UTF8",
	"default_transaction_read_only": "off",
	"in_hot_standby":                "off",
	"integer_datetimes":             "on",
	"is_superuser":                  "off",
	"server_encoding":               "UTF8",
	"server_version":                "15.0",
	"standard_conforming_strings":   "on",
}

// welcome sends everything from AuthenticationOk to ReadyForQuery.
func (c *fakeConn) welcome(params map[string]string) error {
	all := maps.Clone(reported)
	all["application_name"] = c.startup["application_name"]
	all["session_authorization"] = c.startup["user"]
	maps.Copy(all, params)
	msgs := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		msgs = append(msgs, &pgproto3.ParameterStatus{Name: name, Value: all[name]})
	}
	if err := c.send(msgs...); err != nil {
		return err
	}
	if err := c.write(wire.AppendKey(nil, c.pid(), c.secret)); err != nil {
		return err
	}
	return c.send(idle)
}

// idle is ReadyForQuery outside a transaction.
var idle = &pgproto3.ReadyForQuery{TxStatus: 'I'}
