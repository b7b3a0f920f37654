package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgguard/proxy/auth"
)

// TestPlainWordsNameNobody: what a client may be told has neither what the error says of places and files nor what databases and users are called by habit:
// Rails takes a message with such a name for an error about the database of that name.
func TestPlainWordsNameNobody(t *testing.T) {
	secret := "db.internal 10.1.2.3 /etc/ca.crt app_production"
	expired := x509.CertificateInvalidError{Cert: &x509.Certificate{NotAfter: time.Now()}, Reason: x509.Expired}
	u := &Upstream{}
	_, _, missing := auth.NewSource(secret, nil, 0).Password(t.Context())
	plain := func(err error) error { return fmt.Errorf("login: %w", &tlsError{u.explain(err), plainTLS(err)}) }
	for what, err := range map[string]error{
		"authority":  plain(x509.UnknownAuthorityError{}),
		"name":       plain(x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{secret}}, Host: secret}),
		"expired":    plain(expired),
		"revoked":    plain(auth.ErrRevoked),
		"other TLS":  plain(errors.New(secret)),
		"files":      &obstacle{errors.New(secret), plainFiles},
		"no TLS":     &tlsError{errors.New(secret), plainNoTLS},
		"resolver":   &net.DNSError{Err: "no such host", Name: secret},
		"refused":    &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"no socket":  &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENOENT)},
		"no answer":  &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded},
		"in no time": context.DeadlineExceeded,
		"password":   missing,
	} {
		said := Plain(fmt.Errorf("dial %s: %w", secret, err))
		if said == "" || !strings.HasSuffix(said, ".") {
			t.Errorf("%s: it says %q", what, said)
		}
		for _, word := range append(strings.Fields(secret), "app", "prod", "test", "dev", "main", "shop", "blog", "postgres", "root", "admin") {
			if strings.Contains(strings.ReplaceAll(said, "sslrootcert", ""), word) {
				t.Errorf("%s: %q has %q in it", what, said, word)
			}
		}
	}
	if said := Plain(errors.New(secret)); said != "" {
		t.Errorf("of what nobody knows it says %q", said)
	}
}
