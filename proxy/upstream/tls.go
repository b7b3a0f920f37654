package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/youmark/pkcs8"

	"pgguard/proxy/auth"
	"pgguard/proxy/paper"
)

// systemRoots is sslrootcert for the authorities that the system trusts.
const systemRoots = "system"

// versions are the values of ssl_min_protocol_version. Go offers nothing before 1.2 unless it is asked to.
var versions = map[string]uint16{
	"": tls.VersionTLS12, "TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13,
}

// config is TLS as s wants it, for a server called host. The files are read each time, so that a login after they have changed goes by the new ones.
func (s *Security) config(host string, cert *shown) (*tls.Config, error) {
	cfg := &tls.Config{
		InsecureSkipVerify:          true, // VerifyConnection verifies, as far as libpq would
		MinVersion:                  versions[s.MinVersion],
		DynamicRecordSizingDisabled: true,
	}
	if s.MaxVersion != "" {
		cfg.MaxVersion = versions[s.MaxVersion]
	}
	if !s.NoName && net.ParseIP(host) == nil {
		cfg.ServerName = host
	}
	if s.Negotiation == "direct" {
		cfg.NextProtos = []string{auth.ALPN}
	}
	if err := s.identify(cfg, cert); err != nil {
		return nil, err
	}
	mode := s.mode()
	roots, err := s.roots(mode)
	if err != nil {
		return nil, err
	}
	if roots == nil {
		return cfg, nil
	}
	revoked, err := s.revoked()
	if err != nil {
		return nil, err
	}
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		chains, err := verifyChain(state.PeerCertificates, roots)
		if err == nil {
			err = revoked.Check(chains)
		}
		if err == nil && mode == "verify-full" {
			err = verifyName(state.PeerCertificates[0], host)
		}
		return err
	}
	return cfg, nil
}

// home is a file in the directory in which libpq looks, "" if it is not there.
func home(name string) string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	path := filepath.Join(dir, ".postgresql", name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// roots are the authorities that may vouch for the server, nil if nobody need. A file that exists is used whatever the mode, as libpq does.
func (s *Security) roots(mode string) (*x509.CertPool, error) {
	verifies := strings.HasPrefix(mode, "verify-")
	path := s.RootCert
	switch {
	case path == systemRoots:
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("sslrootcert=system: %w", err)
		}
		return pool, nil
	case path == "":
		if path = home("root.crt"); path == "" && verifies {
			return nil, fmt.Errorf("sslmode=%s needs the certificate of the authority that signed the server's: give sslrootcert=FILE, "+
				"or sslrootcert=system for those that the system trusts", mode)
		}
	}
	if path == "" {
		return nil, nil
	}
	text, err := paper.Read(path, paper.Small)
	if errors.Is(err, fs.ErrNotExist) && !verifies {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sslrootcert: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("sslrootcert: %s has no certificate in PEM form", path)
	}
	return pool, nil
}

// identify gives cfg the guard's own certificate, if there is one.
func (s *Security) identify(cfg *tls.Config, seen *shown) error {
	pair, err := s.own()
	if err != nil {
		return err
	}
	// Whatever the server says that it takes: libpq sends it, too.
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		seen.asked, seen.sent = true, len(pair.Certificate) > 0
		return &pair, nil
	}
	return nil
}

// own is the guard's own certificate; the zero value: there is none, or it is not to be shown.
func (s *Security) own() (pair tls.Certificate, err error) {
	cert, key := s.Cert, s.Key
	if s.CertMode == "disable" {
		return pair, nil
	}
	if cert == "" {
		if cert = home("postgresql.crt"); cert == "" {
			return pair, nil
		}
	}
	if key == "" {
		if key = home("postgresql.key"); key == "" {
			return pair, fmt.Errorf("sslcert is %s, and there is no key for it: give sslkey=FILE", cert)
		}
	}
	public, err := paper.Read(cert, paper.Small)
	if err != nil {
		return pair, fmt.Errorf("sslcert: %w", err)
	}
	private, err := readKey(key, s.KeyPassword)
	if err != nil {
		return pair, fmt.Errorf("sslkey: %w", err)
	}
	if pair, err = tls.X509KeyPair(public, private); err != nil {
		return pair, fmt.Errorf("sslcert %s and sslkey %s: %w", cert, key, err)
	}
	return pair, nil
}

// readKey returns the private key of a file in PEM form, without its password. Others must not be able to read the file.
func readKey(path, password string) ([]byte, error) {
	if err := paper.KeyFault(path); err != nil {
		return nil, err
	}
	text, err := paper.Read(path, paper.Small)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s has no key in PEM form", path)
	}
	var open []byte
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY":
		key, err := pkcs8.ParsePKCS8PrivateKey(block.Bytes, []byte(password))
		if err != nil {
			return nil, fmt.Errorf("%s cannot be decrypted; is sslpassword the right one?", path)
		}
		if open, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: open}), nil
	//lint:ignore SA1019 keys of this old form are still about
	case x509.IsEncryptedPEMBlock(block): //nolint:staticcheck // as above
		//lint:ignore SA1019 as above
		if open, err = x509.DecryptPEMBlock(block, []byte(password)); err != nil { //nolint:staticcheck // as above
			return nil, fmt.Errorf("%s cannot be decrypted; is sslpassword the right one?", path)
		}
		return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: open}), nil
	}
	return text, nil
}

// revoked reads the lists of revoked certificates.
func (s *Security) revoked() (lists auth.Revocations, err error) {
	path := s.CRL
	if path == "" && s.CRLDir == "" {
		path = home("root.crl")
	}
	if path != "" {
		if lists, err = auth.ReadRevocations(path); err != nil {
			return nil, fmt.Errorf("sslcrl: %w", err)
		}
	}
	if s.CRLDir != "" {
		more, err := auth.ReadRevocationDir(s.CRLDir)
		if err != nil {
			return nil, fmt.Errorf("sslcrldir: %w", err)
		}
		lists = append(lists, more...)
	}
	return lists, nil
}

// verifyChain checks that one of the authorities vouches for what the server has shown.
func verifyChain(shown []*x509.Certificate, roots *x509.CertPool) ([][]*x509.Certificate, error) {
	if len(shown) == 0 {
		return nil, errors.New("server has shown no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	return shown[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
}

// verifyName checks that a certificate is of a host. As in libpq an address may stand in the place of a name, too, and the common name counts where
// nothing else is of the host's kind.
func verifyName(cert *x509.Certificate, host string) error {
	host = strings.TrimSuffix(host, ".")
	ip := net.ParseIP(host)
	names, others := cert.DNSNames, len(cert.DNSNames)
	if ip != nil {
		others = len(cert.IPAddresses)
	}
	if others == 0 {
		names = append(slices.Clone(names), cert.Subject.CommonName)
	}
	if slices.ContainsFunc(names, func(name string) bool { return isNameOf(name, host, ip != nil) }) || slices.ContainsFunc(cert.IPAddresses, ip.Equal) {
		return nil
	}
	return x509.HostnameError{Certificate: cert, Host: host}
}

// isNameOf is true for a host's name, or one with a * in the place of its first part, which an address has not.
func isNameOf(name, host string, address bool) bool {
	if strings.ContainsFunc(name+host, func(r rune) bool { return r > unicode.MaxASCII }) { // of which some are the same as others
		return name == host
	}
	if rest, wild := strings.CutPrefix(name, "*."); wild && !address {
		first, parent, _ := strings.Cut(host, ".")
		return first != "" && rest != "" && strings.EqualFold(parent, rest)
	}
	return strings.EqualFold(name, host)
}

// explain says what is wrong with a server's TLS and what to do.
func (u *Upstream) explain(err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert *net.OpError
	var header tls.RecordHeaderError
	switch {
	case errors.Is(err, auth.ErrRevoked):
		return fmt.Errorf("server's %w (sslcrl, sslcrldir)", auth.ErrRevoked)
	case errors.Is(err, auth.ErrUnlisted):
		return fmt.Errorf("server's %w (sslcrl, sslcrldir): get a new one from there", auth.ErrUnlisted)
	case errors.As(err, &authority):
		return errors.New("server's certificate is signed by an authority that sslrootcert does not have; give the file with its certificate")
	case errors.As(err, &name):
		return fmt.Errorf("server's certificate is not for the name it is called by: it is for %s; give the host by that name, with hostaddr if it must be found by another, "+
			"or sslmode=verify-ca", namesOf(name.Certificate))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("server's certificate is valid from %s to %s only: renew it, or look at the clock of this machine",
			invalid.Cert.NotBefore.UTC().Format("2006-01-02 15:04"), invalid.Cert.NotAfter.UTC().Format("2006-01-02 15:04"))
	case errors.As(err, &invalid):
		return fmt.Errorf("server's certificate: %w", err)
	case u.TLS.Negotiation == "direct" && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return errors.New("server closes a connection that begins with TLS: sslnegotiation=direct needs PostgreSQL 17")
	case errors.As(err, &header):
		return errors.New("server does not answer in TLS; is it PostgreSQL, and 17 or later if sslnegotiation=direct?")
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Errorf("server refuses TLS: %w; does it ask for a certificate (sslcert, sslkey), or another version of TLS?", err)
	}
	return fmt.Errorf("TLS with the server: %w", err)
}

// namesOf are the names for which a certificate is.
func namesOf(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = append(names, c.Subject.CommonName)
	}
	return strings.Join(names[:min(len(names), 5)], ", ")
}
