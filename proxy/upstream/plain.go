package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"

	"pgguard/proxy/auth"
)

// obstacle is an error with words for those who may not be told a name.
type obstacle struct {
	err   error
	plain string
}

func (o *obstacle) Error() string { return o.err.Error() }
func (o *obstacle) Unwrap() error { return o.err }

const (
	plainFiles  = "The guard has no certificate or key for TLS with the database that it can use (sslrootcert, sslcert, sslkey, sslcrl)."
	plainSource = "The guard cannot get its own password for the database (upstream_password)."
	plainNoTLS  = "The database does not have TLS, which the guard is told to use (sslmode)."
)

// Plain is why a login to the server cannot succeed, for a client: it names no host, user, database or file. Empty: nothing is known that
// would help.
func Plain(err error) string {
	var o *obstacle
	var te *tlsError
	var dns *net.DNSError
	var dial *net.OpError
	var source *auth.SourceError
	switch {
	case errors.As(err, &source):
		return plainSource
	case errors.As(err, &o):
		return o.plain
	case errors.As(err, &te):
		return te.plain
	case errors.As(err, &dns):
		return "The guard cannot resolve the name of the database's machine."
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT) && errors.As(err, &dial):
		return "Nobody listens where the guard looks for the database."
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "The database does not answer the guard."
	}
	return ""
}

// plainTLS is Plain for a handshake that failed.
func plainTLS(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, auth.ErrRevoked), errors.Is(err, auth.ErrUnlisted):
		return "The database's certificate has been revoked, or there is no list that says whether it has (sslcrl)."
	case errors.As(err, &authority):
		return "The database's certificate is signed by an authority that the guard does not have (sslrootcert)."
	case errors.As(err, &name):
		return "The database's certificate is for another name than the guard calls it by (sslmode=verify-full)."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "The database's certificate has expired, or is not valid yet."
	}
	return "The guard and the database cannot agree on TLS."
}
