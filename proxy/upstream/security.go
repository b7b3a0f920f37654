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
	CRL         string // sslcrl: a file of revoked certificates; empty: ~/.postgresql/root.crl, if it exists
	Negotiation string // sslnegotiation: postgres or direct; empty: postgres
	MinVersion  string // ssl_min_protocol_version; empty: TLSv1.2
	MaxVersion  string // ssl_max_protocol_version; empty: the newest
	NoName      bool   // sslsni=0: the server is not told which name it was called by
	Binding     string // channel_binding: disable, prefer or require; empty: prefer
	Methods     string // require_auth: how the server may ask who the guard is, separated by commas; empty: in any way
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
		{"sslmode", s.Mode}, {"sslrootcert", s.RootCert}, {"sslcert", s.Cert}, {"sslkey", s.Key}, {"sslpassword", secret}, {"sslcrl", s.CRL},
		{"sslnegotiation", s.Negotiation}, {"ssl_min_protocol_version", s.MinVersion}, {"ssl_max_protocol_version", s.MaxVersion},
		{"sslsni", sni}, {"channel_binding", s.Binding}, {"require_auth", s.Methods},
	}
}

// methods are those that require_auth knows.
var methods = []string{"password", "md5", "gss", "sspi", "scram-sha-256", "none"}

// securityOf checks the keys that are about the connection's protection, and joins them.
func securityOf(keys map[string]string) (Security, error) {
	s := Security{
		Mode: keys["sslmode"], RootCert: keys["sslrootcert"], Cert: keys["sslcert"], Key: keys["sslkey"], KeyPassword: keys["sslpassword"],
		CRL: keys["sslcrl"], Negotiation: keys["sslnegotiation"], MinVersion: keys["ssl_min_protocol_version"],
		MaxVersion: keys["ssl_max_protocol_version"], NoName: keys["sslsni"] == "0", Binding: keys["channel_binding"], Methods: keys["require_auth"],
	}
	mode := s.mode()
	switch {
	case s.RootCert == systemRoots && mode != "verify-full":
		return s, fmt.Errorf("sslrootcert=system needs sslmode=verify-full, not %s", mode)
	case s.Negotiation == "direct" && slices.Contains([]string{"disable", "allow", "prefer"}, mode):
		return s, fmt.Errorf("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full, not %s", mode)
	case s.MaxVersion != "" && versions[s.MinVersion] > versions[s.MaxVersion]:
		return s, errors.New("ssl_min_protocol_version is above ssl_max_protocol_version")
	case s.Key != "" && s.Cert == "" && home("postgresql.crt") == "":
		return s, errors.New("sslkey is given without sslcert")
	case s.Binding == "require" && mode == "disable":
		return s, errors.New("channel_binding=require needs TLS, which sslmode=disable rules out")
	}
	if s.Methods == "" {
		return s, nil
	}
	list := strings.Split(s.Methods, ",")
	for _, m := range list {
		name, not := strings.CutPrefix(m, "!")
		if !slices.Contains(methods, name) || not != strings.HasPrefix(list[0], "!") {
			return s, errors.New("require_auth is a list of password, md5, gss, sspi, scram-sha-256 and none, separated by commas; all of them have a ! before, or none")
		}
	}
	return s, nil
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

// ways are the ways in which a login is tried, one after the other.
func (u Upstream) ways() []way {
	if u.local() {
		return []way{plain}
	}
	switch u.TLS.mode() {
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

// tlsError is why TLS with a server could not be agreed on.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// secure returns the connection over a socket to the server, on which nothing was said, in one way. The socket stays the caller's after an error.
func (d *Door) secure(ctx context.Context, socket net.Conn, w way) (net.Conn, error) {
	u := &d.Upstream
	if w == plain || u.local() {
		return socket, nil
	}
	cfg, err := u.TLS.config(u.Host)
	if err != nil {
		return nil, err
	}
	if u.TLS.Negotiation != "direct" {
		switch has, err := askTLS(socket); {
		case err != nil:
			return nil, err
		case !has && w == offered:
			return socket, nil
		case !has:
			return nil, &tlsError{fmt.Errorf("server does not have TLS, which sslmode=%s asks for; set ssl = on there, or give another sslmode", u.TLS.mode())}
		}
	}
	client := d.Secure
	if client == nil {
		client = tls.Client
	}
	c := client(socket, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, &tlsError{u.explain(err)}
	}
	if u.TLS.Negotiation == "direct" && c.ConnectionState().NegotiatedProtocol != auth.ALPN {
		return nil, &tlsError{errors.New("server does not speak PostgreSQL over TLS without being asked first (sslnegotiation=direct, PostgreSQL 17)")}
	}
	return c, nil
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
		return false, &tlsError{errors.New("server answers the question for TLS with an error: it has no room, or is not PostgreSQL")}
	}
	return false, &tlsError{errors.New("not a PostgreSQL server: it answers the question for TLS with neither yes nor no")}
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

// accepts is why the server may not ask in this way who the guard is, or, with the method none, be content: channel_binding and require_auth
// have libpq's meaning. A password goes in clear text only over TLS, to this machine, or if require_auth names it.
func (s *Security) accepts(method string, h *Handshake) error {
	_, over := h.state()
	final := method == "none"
	if s.Binding == "require" && !h.bound {
		return errors.New("channel_binding=require, and the server asks for a login that is not bound to the TLS connection")
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
