package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/xdg-go/scram"
)

// MechanismPlus is SCRAM whose proof is bound to the certificate of the TLS connection, so that nobody in between can pass it on.
const MechanismPlus = "SCRAM-SHA-256-PLUS"

// bindingType is the only kind of channel binding that PostgreSQL knows.
const bindingType = "tls-server-end-point"

// NewSCRAMOver is NewSCRAM over a TLS connection. bound binds the proof to the server's certificate, for MechanismPlus; otherwise the server is
// told that it could have been, so that who has taken that from its offer is found out.
func NewSCRAMOver(password string, keys *Keys, state tls.ConnectionState, bound bool) (*SCRAM, []byte, error) {
	if !bound {
		return begin(password, keys, "y,,", nil)
	}
	binding, err := scram.NewTLSServerEndpointBinding(&state)
	if err != nil {
		return nil, nil, fmt.Errorf("bind SCRAM to the server's certificate: %w", err)
	}
	return begin(password, keys, "p="+bindingType+",,", binding.Data)
}

// Shown is the certificate that a client was shown in one handshake: those in use may be others by now.
type Shown struct{ leaf *x509.Certificate }

// shownKey is where a context has it.
type shownKey struct{}

// In returns a context for the handshake that fills it in.
func (s *Shown) In(ctx context.Context) context.Context {
	return context.WithValue(ctx, shownKey{}, s)
}

// Endpoint is what a client binds its proof to; nil: it cannot, because there is no such thing for this kind of certificate.
func (s *Shown) Endpoint() []byte {
	if s.leaf == nil {
		return nil
	}
	binding, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{s.leaf}})
	if err != nil {
		return nil
	}
	return binding.Data
}
