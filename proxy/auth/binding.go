package auth

import (
	"crypto/tls"
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
