package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgproto3/v2"

	"pgguard/proxy/auth"
	"pgguard/proxy/sock"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// TLSMode says whether clients may, or must, come over TLS.
type TLSMode string

// The modes. The zero value of a Listener is that of the Config, whose zero value is TLSOff.
const (
	TLSDefault TLSMode = ""
	TLSOff     TLSMode = "off"     // nobody can
	TLSAllow   TLSMode = "allow"   // who asks for it does
	TLSRequire TLSMode = "require" // who does not is refused, but on a unix socket
	// TLSVerifyCA refuses also who shows no certificate, and TLSVerifyFull who shows another's than of the user as whom he comes, whatever else he proves.
	TLSVerifyCA   TLSMode = "verify-ca"
	TLSVerifyFull TLSMode = "verify-full"
)

// TLSModes are all that may be written.
var TLSModes = []string{string(TLSOff), string(TLSAllow), string(TLSRequire), string(TLSVerifyCA), string(TLSVerifyFull)}

// TLS is how clients are spoken to over TLS.
type TLS struct {
	Mode  TLSMode
	Files auth.Files // needed unless nobody can come over TLS
}

func (m TLSMode) valid() bool { return m == TLSDefault || slices.Contains(TLSModes, string(m)) }

// requires is true if nobody comes without TLS, and verifies if nobody comes without a certificate.
func (m TLSMode) requires() bool { return m == TLSRequire || m.verifies() }
func (m TLSMode) verifies() bool { return m == TLSVerifyCA || m == TLSVerifyFull }

// NeedsTLS is true if clients can come over TLS somewhere.
func (c *Config) NeedsTLS() bool {
	for _, l := range c.Listen {
		if c.tlsOf(l) != TLSOff {
			return true
		}
	}
	return false
}

// tlsOf is the mode of a listener, as it is written.
func (c *Config) tlsOf(l Listener) TLSMode { return cmp.Or(l.TLS, c.TLS.Mode, TLSOff) }

// validateTLS tells bad what cannot be.
func (c *Config) validateTLS(bad func(format string, args ...any)) {
	f := c.TLS.Files
	switch {
	case !c.TLS.Mode.valid():
		bad("tls.mode: %q is not one of %s", c.TLS.Mode, strings.Join(TLSModes, ", "))
	case c.NeedsTLS() && f.Cert == "":
		bad("tls.cert: is missing; clients cannot come over TLS without a certificate")
	case c.NeedsTLS() && f.Key == "":
		bad("tls.key: is missing; tls.cert is of no use without it")
	case f.ClientCA == "" && slices.ContainsFunc(c.Listen, func(l Listener) bool { return c.tlsOf(l).verifies() }):
		bad("tls.client_ca: is missing; verify-ca and verify-full need the authorities that vouch for clients")
	case f.ClientCRL != "" && f.ClientCA == "":
		bad("tls.client_crl: is of no use without tls.client_ca")
	}
}

// tlsOf is the mode in which a listener is served. Nobody comes over TLS through a unix socket, which does not leave the machine.
func (srv *Server) tlsOf(l *listener) TLSMode {
	if l.socket.Addr().Network() == "unix" {
		return TLSOff
	}
	return srv.cfg().tlsOf(l.Listener)
}

// loadCertificates reads the certificates, if a listener needs any.
func (srv *Server) loadCertificates() error {
	if !srv.cfg().NeedsTLS() {
		return nil
	}
	c, err := srv.readCertificates(srv.cfg().TLS.Files)
	if err != nil {
		return err
	}
	srv.mantle.Store(c)
	return nil
}

// mantle is TLS towards clients.
type mantle struct {
	certs  *auth.Certificates
	config *tls.Config // of certs
}

// readCertificates is TLS with what these files hold, as they are at each handshake.
func (srv *Server) readCertificates(f auth.Files) (*mantle, error) {
	certs, err := auth.NewCertificates(f, func(err error) {
		if err != nil {
			srv.log.Error("new certificates cannot be used; those before stay in use", "error", err)
			return
		}
		srv.log.Info("new certificates are in use for clients to come")
	}, func(err error) { srv.log.Warn("clients that look at the certificate do not take it", "error", err) })
	if err != nil {
		return nil, err
	}
	return &mantle{certs, certs.Config()}, nil
}

// noTLS is the answer to a client that must come over TLS and does not.
var noTLS = upstream.ParseError(encode(nil, &pgproto3.ErrorResponse{
	Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "28000",
	Message: "guard: this address takes connections over TLS only; give sslmode=require",
})[wire.HeaderSize:])

// errWantsTLS is why a client leaves that was told that there is no TLS.
var errWantsTLS = errors.New("it asks for TLS, which is off here: take sslmode out of its URL (and PGSSLMODE), or see tls.mode")

// handshakeByte begins a client that speaks TLS without asking first.
const handshakeByte = 0x16

// encryptions are those that a client may ask for, in PostgreSQL's words.
var encryptions = map[wire.Kind]string{wire.KindSSL: "SSL", wire.KindGSS: "GSSAPI encryption"}

// enter reads up to the packet that says what the client wants, over TLS if it asks for that and may. It returns the connection over which it
// wants it. What a client says in clear text behind its question for TLS is taken for the start of TLS, which it is not, and ends it.
func (srv *Server) enter(ctx context.Context, nc net.Conn, l *listener) (net.Conn, *wire.Startup, error) {
	mode := srv.tlsOf(l)
	var over bool
	var err error
	if mode != TLSOff {
		if nc, over, err = sock.Peek(nc, handshakeByte); err == nil && over {
			nc, err = srv.shake(ctx, nc, true)
		}
		if err != nil {
			return nc, nil, err
		}
	}
	asked := map[wire.Kind]bool{}
	for {
		p, err := readStartup(nc)
		if mode == TLSOff && asked[wire.KindSSL] && errors.Is(err, io.EOF) {
			err = errWantsTLS
		}
		if err != nil {
			return nc, nil, err
		}
		switch {
		case p.Kind != wire.KindSSL && p.Kind != wire.KindGSS:
			if mode.requires() && !over && p.Kind != wire.KindCancel {
				return nc, nil, noTLS
			}
			return nc, p, nil
		case asked[p.Kind] || over:
			return nc, nil, &Refusal{Reason: ReasonProtocol, Message: "a request for encryption that has been answered already"}
		}
		asked[p.Kind] = true
		answer := byte('N')
		if p.Kind == wire.KindSSL && mode != TLSOff {
			answer = 'S'
		}
		ahead := answer == 'N' && sock.Ahead(nc) // of the answer; behind an S it is taken for TLS
		if _, err := nc.Write([]byte{answer}); err != nil {
			return nc, nil, err
		}
		if ahead {
			return nc, nil, &Refusal{Reason: ReasonProtocol, Message: "received unencrypted data after " + encryptions[p.Kind] + " request",
				Detail: "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."}
		}
		if answer == 'S' {
			if nc, err = srv.shake(ctx, nc, false); err != nil {
				return nc, nil, err
			}
			over = true
		}
	}
}

// readStartup reads one packet.
func readStartup(nc net.Conn) (*wire.Startup, error) {
	p, err := wire.ReadStartup(nc)
	var ne net.Error
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &ne):
		return nil, err
	}
	return nil, &Refusal{Reason: ReasonProtocol, Message: err.Error()}
}

// shake makes the connection one over TLS. direct: without having been asked, so that PostgreSQL's name must be agreed on.
func (srv *Server) shake(ctx context.Context, nc net.Conn, direct bool) (net.Conn, error) {
	c := sock.Server(nc, srv.mantle.Load().config)
	if err := c.HandshakeContext(ctx); err != nil {
		return silenced{nc}, fmt.Errorf("TLS: %w", err)
	}
	if direct && c.ConnectionState().NegotiatedProtocol != auth.ALPN {
		return c, &Refusal{Reason: ReasonProtocol, Message: "received direct SSL connection request without ALPN protocol negotiation extension"}
	}
	return c, nil
}

// identify refuses who does not show the certificate that the mode asks for.
func (m TLSMode) identify(h *hello) error {
	switch {
	case m.verifies() && !h.cover.verified:
		return errNoCertificate
	case m == TLSVerifyFull && h.cover.name != h.user:
		return anothersCertificate(h)
	}
	return nil
}

// errNoCertificate is PostgreSQL's answer to who must show a certificate and does not.
var errNoCertificate = &Refusal{Reason: ReasonIdentity, Message: "connection requires a valid client certificate"}

// anothersCertificate is PostgreSQL's answer to who shows a certificate that is not of the user as whom he comes; whose it is is for the log.
func anothersCertificate(h *hello) error {
	return fmt.Errorf("%w (it is of %q)", &Refusal{Reason: ReasonIdentity, Message: "certificate authentication failed for user " + quoteName(h.user)}, h.cover.name)
}

// silenced is a connection on which TLS has failed: nothing that is said in clear text would be understood.
type silenced struct{ net.Conn }

func (silenced) Write(p []byte) (int, error) { return len(p), nil }

// ReloadCertificates reads the files for TLS towards clients again. Those in use stay so if the new ones cannot be used. Clients that are in
// notice nothing.
func (srv *Server) ReloadCertificates() error {
	if c := srv.mantle.Load(); c != nil {
		return c.certs.Reload()
	}
	return nil
}
