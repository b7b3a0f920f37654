package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
	"pgguard/proxy/wire"
)

// cover is what is known of the encryption of a client's connection. The zero value is none.
type cover struct {
	tls   bool
	shown *auth.Shown // the certificate that a login can be bound to
	// verified: the client has shown a certificate that holds; name is the common name in it.
	verified bool
	name     string
}

// coverOf is that of a connection, which was shown a certificate if it is one over TLS.
func coverOf(nc net.Conn, shown *auth.Shown) cover {
	c, ok := nc.(*tls.Conn)
	if !ok {
		return cover{}
	}
	over := cover{tls: true, shown: shown}
	if chains := c.ConnectionState().VerifiedChains; len(chains) > 0 {
		over.verified, over.name = true, chains[0][0].Subject.CommonName
	}
	return over
}

// entrance is one client that must prove who it is. It is of the goroutine of its login.
type entrance struct {
	srv    *Server
	nc     net.Conn
	socket net.Conn // under it
	hello  *hello
	inst   *instance.Instance // where its database is; nil: nowhere
	logsIn bool               // it is this user as whom servers there are logged in to
	rule   *auth.Rule
	from   string // where it comes from, as the lobby sees it; empty: this machine, on a socket
	secret auth.Secret
	found  bool   // somebody knows the user
	asked  bool   // the database was asked about him
	cause  string // for the log: why it may not come in, whatever it proves
}

// authenticate has a client prove who it is, in the way that the rules ask for. Nothing of it is left but what it told of its password, for
// logins to the server.
func (srv *Server) authenticate(nc, socket net.Conn, h *hello) error {
	e := &entrance{srv: srv, nc: nc, socket: socket, hello: h}
	v := auth.Visitor{Database: h.database, User: h.user, TLS: h.cover.tls, Walsender: h.replicates && !h.namesDatabase}
	if a, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil && !e.local() {
		v.Address, e.from = a.Addr(), homeOf(nc).String()
	}
	rule, ok := srv.cfg().Auth.Policy.For(v)
	e.rule = rule
	encryption := "no encryption"
	if h.cover.tls {
		encryption = "SSL encryption"
	}
	switch rule.Method {
	case auth.MethodTrust:
		return e.known()
	case auth.MethodReject:
		if ok {
			return &Refusal{Reason: ReasonIdentity, Message: "guard: auth.rules reject connections of this host, user and database, " + encryption}
		}
		return &Refusal{Reason: ReasonIdentity, Message: "guard: no entry in auth.rules for this host, user and database, " + encryption}
	case auth.MethodPeer:
		if err := e.peer(); err != nil {
			return err
		}
		return e.known()
	case auth.MethodCert:
		if err := e.certificate(); err != nil {
			return err
		}
		return e.known()
	}
	return e.password()
}

// locate finds where the client's database is.
func (e *entrance) locate() {
	if d, _, ok := e.srv.destination(e.hello.database); ok {
		e.inst = e.srv.instanceFor(d.Upstream)
		console := e.srv.cfg().Console != nil && IsConsole(e.hello.database)
		e.logsIn = !console && (d.User == "" || d.User == e.hello.user)
	}
}

// teach keeps what the login tells of the user's password for logins to the server, if there are any as this user: what does for the console, or a database whose
// servers are somebody else's, may be another password than the server's.
func (e *entrance) teach(told auth.Known) {
	if e.logsIn {
		e.inst.Door().Memory.Learn(e.hello.user, told)
	}
}

// known has who needs no password be somebody who is known, where the rule asks for that. What that tells of his password is for logins to the server.
func (e *entrance) known() error {
	if !e.rule.Known {
		return nil
	}
	e.locate()
	if err := e.find(); err != nil {
		return err
	}
	if e.found {
		if e.asked && e.secret.Known() {
			e.teach(e.secret.Know())
		}
		return nil
	}
	r := &Refusal{Reason: ReasonIdentity, Message: "guard: nobody of this name is known"}
	if e.srv.cfg().LikePgBouncer {
		if r.Message = "no such user"; !e.asked {
			r.Message = fmt.Sprintf("%q authentication failed", e.rule.Method)
		}
	}
	return r
}

// local is true on a unix socket.
func (e *entrance) local() bool { return e.nc.LocalAddr().Network() == "unix" }

// peer believes the kernel.
func (e *entrance) peer() error {
	failed := func(why string) error {
		return fmt.Errorf("%w (%s)", &Refusal{Reason: ReasonIdentity, Message: "Peer authentication failed for user " + quoteName(e.hello.user)}, why)
	}
	if !e.local() {
		return failed("it does not come over a unix socket")
	}
	name, err := auth.PeerName(e.socket)
	if err != nil {
		return failed(err.Error())
	}
	if !e.rule.Admits(name, e.hello.user) {
		return failed(fmt.Sprintf("it is %q", name))
	}
	return nil
}

// certificate believes who signed the client's certificate.
func (e *entrance) certificate() error {
	switch name := e.hello.cover.name; {
	case name == "":
		return errNoCertificate
	case !e.rule.Admits(name, e.hello.user):
		return anothersCertificate(e.hello)
	}
	return nil
}

// password asks for a password, or for a proof that the client knows it.
func (e *entrance) password() error {
	e.locate()
	if e.rule.Method == auth.MethodPassword && !e.local() && !e.hello.cover.tls && !e.srv.cfg().Auth.Insecure {
		return &Refusal{Reason: ReasonIdentity, Message: "guard: the method password needs TLS or a unix socket"}
	}
	pair := e.from + "\x00" + e.hello.user
	if err := e.wait(e.srv.users.Load().slow.Wait(pair, time.Now())); err != nil {
		return err
	}
	if err := e.find(); err != nil {
		return err
	}
	e.linger()
	known, err := e.converse()
	switch {
	case errors.Is(err, auth.ErrWrong):
		return e.wrong(pair)
	case err != nil:
		return err
	}
	e.srv.users.Load().slow.Right(pair)
	e.teach(known)
	return nil
}

// wrong answers who has not proved what he should, in the same words and after the same time whatever was wrong.
func (e *entrance) wrong(pair string) error {
	now := time.Now()
	slow, all := e.srv.users.Load().slow, "\x00\x00"+e.from
	slow.Wrong(pair, now)
	slow.Wrong(all, now)
	if err := e.wait(slow.Wait(all, now)); err != nil {
		return err
	}
	if e.cause == "" {
		e.cause = "wrong password"
	}
	r := &Refusal{Reason: ReasonPassword, Message: "password authentication failed for user " + quoteName(e.hello.user)}
	if e.srv.cfg().LikePgBouncer && e.rule.Method == auth.MethodSCRAM {
		r.Message = "SASL authentication failed"
	}
	return fmt.Errorf("%w (%s)", r, e.cause)
}

// quoteName puts a name between quotes, as PostgreSQL does.
func quoteName(name string) string { return `"` + name + `"` }

// wait keeps the client waiting, as one that may be closed for another.
func (e *entrance) wait(d time.Duration) error {
	if d == 0 {
		return nil
	}
	e.srv.hushed(e.socket)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.srv.ctx.Done():
		return errDrained
	}
	if !e.srv.spoke(e.socket) {
		return errCrowded
	}
	return nil
}

// find looks for the user's secret; of whom nobody knows it finds none.
func (e *entrance) find() error {
	secret, found := e.srv.users.Load().find(e.hello.user)
	if !found {
		in, how, err := e.srv.lookupFor(e.hello.database, e.inst)
		if err != nil {
			return err
		}
		if e.asked = in != nil; e.asked {
			ctx, stop := context.WithTimeout(e.srv.ctx, e.srv.cfg().LoginTimeout)
			defer stop()
			if secret, found, err = in.Secret(ctx, how, e.hello.user); err != nil {
				return e.srv.lookupFailed(err)
			}
		}
	}
	e.found = found
	switch {
	case !found:
		e.cause = "no such user"
	case !secret.Known():
		e.cause = "the user has no password"
	default:
		e.srv.users.Load().like(secret)
	}
	e.secret = secret
	return nil
}

// linger has who is in the configuration be asked no sooner than who is looked up: how long it takes would tell who is. Who comes to the console is not kept from it.
func (e *entrance) linger() {
	if !e.found || e.asked || IsConsole(e.hello.database) {
		return
	}
	in, how, err := e.srv.lookupFor(e.hello.database, e.inst)
	if err != nil || in == nil {
		return
	}
	ctx, stop := context.WithTimeout(e.srv.ctx, e.srv.cfg().LoginTimeout)
	defer stop()
	in.Linger(ctx, how)
}

// converse asks in the way that fits the method and the secret. Who has none is asked as others are.
func (e *entrance) converse() (auth.Known, error) {
	like := e.secret
	if !like.Known() {
		like = e.srv.users.Load().example()
	}
	switch {
	case e.rule.Method == auth.MethodPassword:
		return e.clear(like)
	case e.rule.Method == auth.MethodMD5 && (like.IsMD5() || like.IsPlain()):
		return e.digest()
	}
	return e.scram(like)
}

// clear has the client tell its password.
func (e *entrance) clear(like auth.Secret) (auth.Known, error) {
	given, err := e.ask(&pgproto3.AuthenticationCleartextPassword{}, maxPassword)
	if err != nil {
		return auth.Known{}, err
	}
	password, err := readPassword(given)
	if err != nil {
		return auth.Known{}, err
	}
	if !e.secret.Known() {
		like.Passes(e.hello.user, password) // takes as long
		return auth.Known{}, auth.ErrWrong
	}
	if !e.secret.Passes(e.hello.user, password) {
		return auth.Known{}, auth.ErrWrong
	}
	return auth.KnowPassword(password), nil
}

// digest has the client answer AuthenticationMD5Password.
func (e *entrance) digest() (auth.Known, error) {
	var m pgproto3.AuthenticationMD5Password
	_, _ = rand.Read(m.Salt[:])
	given, err := e.ask(&m, maxPassword)
	if err != nil {
		return auth.Known{}, err
	}
	answer, err := readPassword(given)
	if err != nil {
		return auth.Known{}, err
	}
	if !e.secret.PassesMD5(e.hello.user, answer, m.Salt) {
		return auth.Known{}, auth.ErrWrong
	}
	return e.secret.Know(), nil
}

// scram has the client prove by SCRAM that it knows its password.
func (e *entrance) scram(like auth.Secret) (auth.Known, error) {
	v, ok := e.srv.users.Load().mock.VerifierOf(e.hello.user, e.secret)
	if !ok {
		v = e.srv.users.Load().mock.Verifier(e.hello.user, like.Iterations())
		if e.secret.IsMD5() {
			e.cause = "the user's secret is an md5 digest, which does for the method md5 alone"
		}
	}
	var binding []byte
	if e.hello.cover.tls {
		binding = e.hello.cover.shown.Endpoint()
	}
	c := auth.Verify(v, !ok, e.hello.cover.tls, binding)
	given, err := e.ask(&pgproto3.AuthenticationSASL{AuthMechanisms: c.Mechanisms()}, maxSASL)
	if err != nil {
		return auth.Known{}, err
	}
	mechanism, first, err := readInitial(given)
	if err != nil {
		return auth.Known{}, err
	}
	challenge, err := c.Begin(mechanism, first)
	if err != nil {
		return auth.Known{}, faulty(err)
	}
	if given, err = e.ask(&pgproto3.AuthenticationSASLContinue{Data: challenge}, maxSASL); err != nil {
		return auth.Known{}, err
	}
	last, keys, err := c.Finish(given)
	if err != nil {
		return auth.Known{}, faulty(err)
	}
	e.hello.proof = encode(nil, &pgproto3.AuthenticationSASLFinal{Data: last})
	if known := e.secret.Know(); !known.Nothing() {
		return known, nil
	}
	return auth.KnowKeys(keys), nil
}

// faulty is a fault of the conversation as a refusal.
func faulty(err error) error {
	var f *auth.Fault
	if !errors.As(err, &f) {
		return err
	}
	r := &Refusal{Reason: ReasonProtocol, Message: f.Message, Detail: f.Detail}
	switch f.Code {
	case "0A000":
		r.Reason = ReasonUnsupported
	case "28000":
		r.Reason = ReasonIdentity
	}
	return r
}

// The most that a client may say in one message before it is let in: what PostgreSQL reads.
const (
	maxPassword = 65535
	maxSASL     = 1024
)

// ask sends a request and reads the answer. While the client does not answer, it may be closed for another.
func (e *entrance) ask(m interface {
	Encode(dst []byte) ([]byte, error)
}, most int,
) ([]byte, error) {
	if _, err := e.nc.Write(encode(e.hello.appendNegotiation(nil), m)); err != nil {
		return nil, err
	}
	e.srv.hushed(e.socket)
	body, err := readAnswer(e.nc, most)
	if !e.srv.spoke(e.socket) {
		return nil, errCrowded
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("it leaves when it is asked for its password: %w", err)
	}
	return body, err
}

// readAnswer reads one message with a password, or what stands for it. Of what is only announced nothing is allocated.
func readAnswer(r io.Reader, most int) ([]byte, error) {
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return nil, err
	}
	switch head[0] {
	case wire.Password:
	case wire.Terminate:
		return nil, io.EOF
	default:
		return nil, &Refusal{Reason: ReasonProtocol, Message: fmt.Sprintf("expected password response, got message type %d", head[0])}
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length-4 > uint32(most) {
		return nil, &Refusal{Reason: ReasonProtocol, Message: "invalid message length"}
	}
	left := int(length) - 4
	var body []byte
	for left > 0 {
		n := min(left, 4<<10)
		at := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(r, body[at:]); err != nil {
			return nil, err
		}
		left -= n
	}
	return body, nil
}

// readPassword reads the body of a PasswordMessage.
func readPassword(body []byte) (string, error) {
	password, rest, ok := wire.CString(body)
	switch {
	case !ok || len(rest) > 0:
		return "", &Refusal{Reason: ReasonProtocol, Message: "invalid password packet size"}
	case len(password) == 0:
		return "", &Refusal{Reason: ReasonPassword, Message: "empty password returned by client"}
	}
	return string(password), nil
}

// readInitial reads the body of a SASLInitialResponse.
func readInitial(body []byte) (mechanism string, first []byte, err error) {
	name, rest, ok := wire.CString(body)
	if !ok || len(rest) < 4 {
		return "", nil, &Refusal{Reason: ReasonProtocol, Message: "insufficient data left in message"}
	}
	n := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	switch {
	case n == 1<<32-1 && len(rest) == 0:
		return string(name), nil, nil
	case uint64(n) != uint64(len(rest)):
		return "", nil, &Refusal{Reason: ReasonProtocol, Message: "invalid message format"}
	}
	return string(name), rest, nil
}
