package auth

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/proxy/paper"
)

// Files are what TLS towards clients is made of, each in PEM form.
type Files struct {
	Cert string // the certificate, with those between it and an authority that clients know
	Key  string
	// ClientCA has the authorities that vouch for clients' certificates; empty: clients are asked for none.
	ClientCA string
	// ClientCRL lists clients' certificates that are not to be believed any more; empty: none.
	ClientCRL string
	// Setting is where they are named, for errors; empty: tls.
	Setting string
	// Protocol is what is spoken over TLS; empty: PostgreSQL's.
	Protocol string
}

// Certificates are TLS towards clients, read from files again when those have changed. A broken file leaves what there was. Any goroutine may
// call its methods.
type Certificates struct {
	files Files
	tell  func(error) // is told of new files that cannot be used, and with nil of those that can
	warn  func(error) // is told of a certificate that comes into use and that no client takes

	base   *tls.Config                // has the keys of sessions that are resumed, which it changes each day
	config atomic.Pointer[tls.Config] // in use

	mu     sync.Mutex
	seen   stamp     // guarded by mu: the files as they were read last
	looked time.Time // guarded by mu
}

// lookEvery is how often it is seen whether the files have changed, at most: an operator who has put a new one in place does not wait longer.
const lookEvery = time.Second

// ALPN is what PostgreSQL calls itself where the protocol is agreed on with TLS.
const ALPN = "postgresql"

// stamp is the files at one look; nil: one that is not there, or not given.
type stamp [4]fs.FileInfo

// NewCertificates reads the files. tell is called when they have changed, or cannot be used, and warn with what Lapsed says of those that come
// into use; by any goroutine. Both may be nil.
func NewCertificates(f Files, tell, warn func(error)) (*Certificates, error) {
	c := &Certificates{files: f, tell: tell, warn: warn, looked: time.Now()}
	c.base = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{cmp.Or(f.Protocol, ALPN)}, GetConfigForClient: c.forClient}
	c.seen = f.stamp()
	cfg, err := f.read()
	if err != nil {
		return nil, err
	}
	c.use(cfg)
	c.doubt()
	return c, nil
}

// doubt tells of a certificate in use that no client takes.
func (c *Certificates) doubt() {
	if err := c.Lapsed(time.Now()); err != nil && c.warn != nil {
		c.warn(err)
	}
}

// forClient is TLS for one handshake.
func (c *Certificates) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c.look(time.Now())
	cfg := c.config.Load()
	if s, ok := hello.Context().Value(shownKey{}).(*Shown); ok {
		s.leaf = cfg.Certificates[0].Leaf
	}
	return cfg, nil
}

// use has cfg be in use. A session that is resumed has the certificate of its beginning, to which the client binds its proof: it is resumed only as long as that is
// the one in use.
func (c *Certificates) use(cfg *tls.Config) {
	mark := sha256.Sum256(cfg.Certificates[0].Certificate[0])
	cfg.WrapSession = func(state tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
		s.Extra = append(s.Extra, mark[:])
		return c.base.EncryptTicket(state, s)
	}
	cfg.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		s, err := c.base.DecryptTicket(ticket, state)
		if err != nil || s == nil || !slices.ContainsFunc(s.Extra, func(e []byte) bool { return bytes.Equal(e, mark[:]) }) {
			return nil, err
		}
		return s, nil
	}
	c.config.Store(cfg)
}

// Config is TLS for one handshake after the other: each goes by the files as they are then.
func (c *Certificates) Config() *tls.Config { return c.base }

// Leaf is the certificate in use.
func (c *Certificates) Leaf() *x509.Certificate { return c.config.Load().Certificates[0].Leaf }

// Lapsed is why no client takes the certificate in use, as of now: it is valid no more, or not yet. nil: it is valid.
func (c *Certificates) Lapsed(now time.Time) error {
	leaf, at := c.Leaf(), fmt.Sprintf("%s.cert %s", cmp.Or(c.files.Setting, "tls"), c.files.Cert)
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%s has expired: it was valid until %s; renew it", at, leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%s is valid from %s on: look at the clock of this machine", at, leaf.NotBefore.UTC().Format(time.DateTime))
	}
	return nil
}

// Names are the names and addresses that the certificate in use is for.
func (c *Certificates) Names() []string {
	leaf := c.Leaf()
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// look reads the files again if they have changed and that was not looked at just now. Who comes while somebody reads them, which a disk or a long list of
// revoked certificates may hold up, goes by what is in use.
func (c *Certificates) look(now time.Time) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if now.Sub(c.looked) < lookEvery {
		return
	}
	c.looked = now
	if s := c.files.stamp(); !s.same(&c.seen) {
		c.reloadLocked(s)
	}
}

// Reload reads the files now. What was in use stays so if they cannot be used. A nil Certificates has none.
func (c *Certificates) Reload() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reloadLocked(c.files.stamp())
}

func (c *Certificates) reloadLocked(s stamp) error {
	changed := !s.same(&c.seen)
	c.seen = s
	cfg, err := c.files.read()
	if err == nil {
		c.use(cfg)
	}
	if c.tell != nil && (changed || err != nil) {
		c.tell(err)
	}
	if err == nil && changed {
		c.doubt()
	}
	return err
}

func (f *Files) paths() [4]string { return [4]string{f.Cert, f.Key, f.ClientCA, f.ClientCRL} }

func (f *Files) stamp() (s stamp) {
	for i, path := range f.paths() {
		if info, err := os.Stat(path); err == nil {
			s[i] = info
		}
	}
	return s
}

func (s *stamp) same(o *stamp) bool {
	for i := range s {
		if !sameVersion(s[i], o[i]) {
			return false
		}
	}
	return true
}

// readPair reads a certificate and its key.
func readPair(cert, key string) (tls.Certificate, error) {
	public, err := paper.Read(cert, paper.Small)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := paper.Read(key, paper.Small)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(public, private)
}

// read makes TLS of the files.
func (f *Files) read() (*tls.Config, error) {
	setting := cmp.Or(f.Setting, "tls")
	pair, err := readPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("%s.cert %s and %s.key %s: %w", setting, f.Cert, setting, f.Key, err)
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{cmp.Or(f.Protocol, ALPN)}, Certificates: []tls.Certificate{pair}, DynamicRecordSizingDisabled: true,
	}
	if f.ClientCA == "" {
		if f.ClientCRL != "" {
			return nil, fmt.Errorf("%s.client_crl is of no use without %[1]s.client_ca", setting)
		}
		return cfg, nil
	}
	text, err := paper.Read(f.ClientCA, paper.Small)
	if err != nil {
		return nil, fmt.Errorf("%s.client_ca: %w", setting, err)
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s.client_ca: %s has no certificate in PEM form", setting, f.ClientCA)
	}
	cfg.ClientAuth = tls.VerifyClientCertIfGiven
	lists, err := readLists(f.ClientCRL)
	if err != nil {
		return nil, fmt.Errorf("%s.client_crl: %w", setting, err)
	}
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.VerifiedChains) == 0 {
			return nil // it has shown none
		}
		return lists.Check(state.VerifiedChains)
	}
	return cfg, nil
}

// Revocations are lists of certificates that are not to be believed any more.
type Revocations []*x509.RevocationList

// ErrRevoked is why a certificate is not taken.
var ErrRevoked = errors.New("certificate has been revoked")

// maxRevocations bounds a file of lists: those of large authorities have a few MiB.
const maxRevocations = 64 << 20

// ReadRevocations reads the lists of a file in PEM form.
func ReadRevocations(path string) (Revocations, error) {
	text, err := paper.Read(path, maxRevocations)
	if err != nil {
		return nil, err
	}
	var lists Revocations
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		lists = append(lists, list)
	}
	if lists == nil {
		return nil, fmt.Errorf("%s has no list in PEM form", path)
	}
	return lists, nil
}

// rehashed is how openssl rehash names a list: by a hash of its issuer, and a number.
var rehashed = regexp.MustCompile(`^[0-9a-f]{8}\.r[0-9]+$`)

// ReadRevocationDir reads the lists of a directory, as openssl rehash names them; what has another name is not looked at.
func ReadRevocationDir(dir string) (all Revocations, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !rehashed.MatchString(e.Name()) {
			continue
		}
		lists, err := ReadRevocations(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, lists...)
	}
	if all == nil {
		return nil, fmt.Errorf("%s has no list of revoked certificates: openssl rehash gives them the names by which they are found", dir)
	}
	return all, nil
}

func readLists(path string) (Revocations, error) {
	if path == "" {
		return nil, nil
	}
	return ReadRevocations(path)
}

// ErrUnlisted is why a certificate is not taken of which the lists do not say whether it has been revoked.
var ErrUnlisted = errors.New("certificate is of an authority of which there is no list of revoked certificates that is still valid")

// Check is ErrRevoked if every chain has a certificate that its issuer has revoked, ErrUnlisted if none has only such that the lists are
// about. Without lists every chain is good.
func (r Revocations) Check(chains [][]*x509.Certificate) error {
	if len(r) == 0 {
		return nil
	}
	fault := ErrRevoked
	for _, chain := range chains {
		switch err := r.check(chain, time.Now()); {
		case err == nil:
			return nil
		case errors.Is(err, ErrUnlisted):
			fault = err
		}
	}
	return fault
}

// check looks at one chain, as OpenSSL does where every certificate of it is to be looked up.
func (r Revocations) check(chain []*x509.Certificate, now time.Time) error {
	unlisted := false
	for i := 0; i+1 < len(chain); i++ {
		listed := false
		for _, list := range r {
			if !bytes.Equal(list.RawIssuer, chain[i].RawIssuer) || list.CheckSignatureFrom(chain[i+1]) != nil {
				continue
			}
			listed = listed || list.NextUpdate.IsZero() || now.Before(list.NextUpdate)
			for _, entry := range list.RevokedCertificateEntries {
				if entry.SerialNumber.Cmp(chain[i].SerialNumber) == 0 {
					return ErrRevoked
				}
			}
		}
		unlisted = unlisted || !listed
	}
	if unlisted {
		return ErrUnlisted
	}
	return nil
}
