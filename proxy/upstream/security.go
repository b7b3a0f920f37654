package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// Security is how logins to a server are protected, in the words and with the meaning of libpq. The zero value is libpq's default: TLS
// where the server has it, whoever the server is.
type Security struct {
	Mode        string // sslmode; empty: prefer, or verify-full with the system's authorities
	RootCert    string // sslrootcert: a file of authorities, or system; empty: ~/.postgresql/root.crt
	Cert, Key   string // sslcert, sslkey: files; empty: ~/.postgresql/postgresql.crt and .key, if they exist
	KeyPassword string // sslpassword; never logged, never in an error
	CertMode    string // sslcertmode: disable, allow or require; empty: allow
	CRL         string // sslcrl: a file of revoked certificates; with no directory either, empty is ~/.postgresql/root.crl, if it exists
	CRLDir      string // sslcrldir: a directory of such files, as openssl rehash names them
	Negotiation string // sslnegotiation: postgres or direct; empty: postgres
	MinVersion  string // ssl_min_protocol_version; empty: TLSv1.2
	MaxVersion  string // ssl_max_protocol_version; empty: the newest
	NoName      bool   // sslsni=0: the server is not told which name it was called by
	Binding     string // channel_binding: disable, prefer or require; empty: prefer
	Methods     string // require_auth: how the server may ask who the guard is, separated by commas; empty: in any way
	Peer        string // requirepeer: the system's user who runs the server, if it is on a unix socket; empty: whoever
}

// key is one of libpq's keys with its value, empty if it is not given.
type key struct{ name, value string }

// keys are those that say what s is, but for passwords.
func (s *Security) keys() []key {
	sni := ""
	if s.NoName {
		sni = "0"
	}
	secret := ""
	if s.KeyPassword != "" {
		secret = "***"
	}
	return []key{
		{"sslmode", s.Mode}, {"sslrootcert", s.RootCert}, {"sslcert", s.Cert}, {"sslkey", s.Key}, {"sslpassword", secret},
		{"sslcertmode", s.CertMode}, {"sslcrl", s.CRL}, {"sslcrldir", s.CRLDir},
		{"sslnegotiation", s.Negotiation}, {"ssl_min_protocol_version", s.MinVersion}, {"ssl_max_protocol_version", s.MaxVersion},
		{"sslsni", sni}, {"channel_binding", s.Binding}, {"require_auth", s.Methods}, {"requirepeer", s.Peer},
	}
}

// security checks the keys that are about the connection's protection, and joins them; local is true for a unix socket, where libpq uses
// no TLS whatever they say.
func (v values) security(local bool) (Security, error) {
	s := Security{
		Mode: v.text("sslmode"), RootCert: v.text("sslrootcert"), Cert: v.text("sslcert"), Key: v.text("sslkey"), KeyPassword: v.text("sslpassword"),
		CertMode: v.text("sslcertmode"), CRL: v.text("sslcrl"), CRLDir: v.text("sslcrldir"), Negotiation: v.text("sslnegotiation"),
		MinVersion: properVersion(v.text("ssl_min_protocol_version")), MaxVersion: properVersion(v.text("ssl_max_protocol_version")),
		NoName: v.text("sslsni") == "0", Binding: v.text("channel_binding"), Methods: v.text("require_auth"), Peer: v.text("requirepeer"),
	}
	mode := "the default prefer"
	if s.Mode != "" {
		mode = v.pair("sslmode")
	}
	switch {
	case s.RootCert == systemRoots && s.mode() != "verify-full":
		return s, fmt.Errorf("%s needs sslmode=verify-full, not %s", v.pair("sslrootcert"), mode)
	case s.Negotiation == "direct" && slices.Contains([]string{"disable", "allow", "prefer"}, s.mode()):
		return s, fmt.Errorf("%s needs sslmode=require, verify-ca or verify-full, not %s", v.pair("sslnegotiation"), mode)
	case s.MaxVersion != "" && versions[s.MinVersion] > versions[s.MaxVersion]:
		least := "the default ssl_min_protocol_version, TLSv1.2,"
		if s.MinVersion != "" {
			least = v.name("ssl_min_protocol_version")
		}
		return s, fmt.Errorf("%s is above %s", least, v.name("ssl_max_protocol_version"))
	case s.Key != "" && s.Cert == "" && home("postgresql.crt") == "":
		return s, fmt.Errorf("%s is given without sslcert", v.name("sslkey"))
	case s.Binding == "require" && local:
		return s, fmt.Errorf("%s needs TLS, which there is none of on a unix socket", v.pair("channel_binding"))
	case s.Binding == "require" && s.Mode == "disable":
		return s, fmt.Errorf("%s needs TLS, which %s rules out", v.pair("channel_binding"), mode)
	case s.CertMode == "require" && local:
		return s, fmt.Errorf("%s needs TLS, which there is none of on a unix socket", v.pair("sslcertmode"))
	case s.CertMode == "require" && s.Mode == "disable":
		return s, fmt.Errorf("%s needs TLS, which %s rules out", v.pair("sslcertmode"), mode)
	}
	return s, v.checkMethods()
}

// properVersion is a version of TLS as it is written here: libpq takes it in any case.
func properVersion(text string) string {
	for name := range versions {
		if strings.EqualFold(name, text) {
			return name
		}
	}
	return text
}

// methods are those that require_auth knows.
var methods = []string{"password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"}

// checkMethods checks the list that is require_auth.
func (v values) checkMethods() error {
	if v.text("require_auth") == "" {
		return nil
	}
	list := strings.Split(v.text("require_auth"), ",")
	for i, m := range list {
		name, not := strings.CutPrefix(m, "!")
		switch {
		case !slices.Contains(methods, name) || not != strings.HasPrefix(list[0], "!"):
			return fmt.Errorf("%s is a list of %s, separated by commas; all of them have a ! before, or none", v.name("require_auth"), strings.Join(methods, ", "))
		case slices.Contains(list[:i], m):
			return fmt.Errorf("%s has %s twice", v.name("require_auth"), m)
		}
	}
	return nil
}

// way is one way to a server.
type way uint8

const (
	plain     way = iota
	offered       // TLS if the server has it
	encrypted     // TLS
)

// mode is the sslmode that holds.
func (s *Security) mode() string {
	switch {
	case s.Mode != "":
		return s.Mode
	case s.RootCert == systemRoots:
		return "verify-full"
	}
	return "prefer"
}

// ways are the ways in which a login at a place is tried, one after the other.
func (s *Security) ways(p Place) []way {
	if p.local() {
		return []way{plain}
	}
	switch s.mode() {
	case "disable":
		return []way{plain}
	case "allow":
		return []way{plain, encrypted}
	case "prefer":
		return []way{offered, plain}
	}
	return []way{encrypted}
}

// mayTryOther is true if a login that has failed may succeed with, or without, TLS: the server has refused it, or TLS itself has failed.
func mayTryOther(err error, h *Handshake) bool {
	var se *Error
	var te *tlsError
	return (errors.As(err, &se) && h.phase != phaseIn) || errors.As(err, &te)
}

// tlsError is why TLS with a server could not be agreed on; plain is that for a client (see Plain).
type tlsError struct {
	err   error
	plain string
}

func (e *tlsError) Error() string { return e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// shown is what has become of the guard's own certificate.
type shown struct{ asked, sent bool }

// secure returns the connection over a socket to a server at a place, on which nothing was said, in one way. The socket stays the caller's
// after an error.
func (d *Door) secure(ctx context.Context, socket net.Conn, at Place, w way, cert *shown) (net.Conn, error) {
	u := &d.Upstream
	if at.local() {
		return socket, u.TLS.checkPeer(socket)
	}
	if w == plain {
		return socket, nil
	}
	cfg, err := u.TLS.config(at.Host, cert)
	if err != nil {
		return nil, &obstacle{err, plainFiles}
	}
	if u.TLS.Negotiation != "direct" {
		switch has, err := askTLS(socket); {
		case err != nil:
			return nil, err
		case !has && w == offered:
			return socket, nil
		case !has:
			return nil, &tlsError{fmt.Errorf("server does not have TLS, which sslmode=%s asks for; set ssl = on there, or give another sslmode", u.TLS.mode()),
				plainNoTLS}
		}
	}
	client := d.Secure
	if client == nil {
		client = tls.Client
	}
	c := client(socket, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, &tlsError{u.explain(err), plainTLS(err)}
	}
	if u.TLS.Negotiation == "direct" && c.ConnectionState().NegotiatedProtocol != auth.ALPN {
		return nil, &tlsError{errors.New("server does not speak PostgreSQL over TLS without being asked first (sslnegotiation=direct, PostgreSQL 17)"), plainTLS(nil)}
	}
	return c, nil
}

// checkPeer is why who runs the server is not who must.
func (s *Security) checkPeer(socket net.Conn) error {
	if s.Peer == "" {
		return nil
	}
	switch name, err := auth.PeerName(socket); {
	case err != nil:
		return fmt.Errorf("requirepeer=%s: %w", s.Peer, err)
	case name != s.Peer:
		return fmt.Errorf("requirepeer=%s, and the server is run by the system's user %q", s.Peer, name)
	}
	return nil
}

// askTLS asks the server whether it has TLS. It reads one byte: what came behind it was not said over TLS, and is no start of it.
func askTLS(socket net.Conn) (has bool, err error) {
	if _, err := socket.Write(wire.AppendSSLRequest(nil)); err != nil {
		return false, fmt.Errorf("ask for TLS: %w", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(socket, answer[:]); err != nil {
		return false, fmt.Errorf("ask for TLS: %w", err)
	}
	switch answer[0] {
	case 'S':
		return true, nil
	case 'N':
		return false, nil
	case 'E':
		return false, &tlsError{errors.New("server answers the question for TLS with an error: it has no room, or is not PostgreSQL"), plainTLS(nil)}
	}
	return false, &tlsError{errors.New("not a PostgreSQL server: it answers the question for TLS with neither yes nor no"), plainTLS(nil)}
}

// state is that of the TLS connection; over is false if there is none.
func (h *Handshake) state() (state tls.ConnectionState, over bool) {
	if c, ok := h.Conn.(*tls.Conn); ok {
		return c.ConnectionState(), true
	}
	return state, false
}

// Secured is true if the login was over TLS.
func (h *Handshake) Secured() bool {
	_, over := h.state()
	return over
}

// accepts is why the server may not ask in this way who the guard is, or, with the method none, be content: channel_binding, sslcertmode and
// require_auth have libpq's meaning. A password goes in clear text only over TLS, to this machine, or if require_auth names it.
func (s *Security) accepts(method string, h *Handshake) error {
	_, over := h.state()
	final := method == "none"
	if s.Binding == "require" && !h.bound {
		return errors.New("channel_binding=require, and the server asks for a login that is not bound to the TLS connection")
	}
	if final && s.CertMode == "require" {
		switch {
		case !h.cert.asked:
			return errors.New("sslcertmode=require, and the server does not ask for the guard's certificate: it has no ssl_ca_file, or there is no TLS")
		case !h.cert.sent:
			return errors.New("sslcertmode=require, and there is no certificate to show: give sslcert=FILE and sslkey=FILE")
		}
	}
	if final && h.asked {
		return nil
	}
	h.asked = true
	named := false
	if s.Methods != "" {
		list := strings.Split(s.Methods, ",")
		not := strings.HasPrefix(list[0], "!")
		if not {
			method = "!" + method
		}
		if named = slices.Contains(list, method); named == not {
			return fmt.Errorf("server asks for authentication by %s, which require_auth=%s rules out", strings.TrimPrefix(method, "!"), s.Methods)
		}
		named = named && !not
	}
	if method == "password" && !over && !named && !isNear(h.Conn) {
		return errors.New("server asks for the password in clear text, without TLS: give sslmode=require, or require_auth=password to allow it")
	}
	return nil
}

// isNear is true for a connection that does not leave this machine.
func isNear(nc net.Conn) bool {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}
