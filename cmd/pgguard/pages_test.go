package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"pgguard/proxy/auth"
	"pgguard/proxy/config"
	"pgguard/proxy/pgtest"
)

// papers are an authority and what it has signed, in files.
type papers struct {
	t   *testing.T
	ca  *auth.Authority
	dir string
}

func newPapers(t *testing.T) *papers {
	t.Helper()
	ca, err := auth.NewAuthority("test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p := &papers{t, ca, t.TempDir()}
	own, err := ca.Pair()
	if err != nil {
		t.Fatal(err)
	}
	p.write("ca.crt", own.Cert)
	p.issue("pages", "localhost")
	p.issue("caller", "caller")
	return p
}

func (p *papers) path(name string) string { return filepath.Join(p.dir, name) }

func (p *papers) write(name string, text []byte) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), text, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *papers) issue(name, common string) {
	p.t.Helper()
	pair, err := p.ca.Issue(common, []string{common}, time.Now(), time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name+".crt", pair.Cert)
	p.write(name+".key", pair.Key)
}

// client calls pages, and shows the certificate of this name, if it is not empty.
func (p *papers) client(shows string) *http.Client {
	p.t.Helper()
	own, err := p.ca.Pair()
	if err != nil {
		p.t.Fatal(err)
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	cfg.RootCAs.AppendCertsFromPEM(own.Cert)
	if shows != "" {
		pair, err := tls.LoadX509KeyPair(p.path(shows+".crt"), p.path(shows+".key"))
		if err != nil {
			p.t.Fatal(err)
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil } // also one that does not hold
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
}

// status is what a page answers, 0 if it does not.
func status(c *http.Client, url, token string) int {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestPagesOverTLS: with a certificate nobody reads them without TLS; who shows one that holds, or knows the token, reads them, and nobody else but
// to ask whether the process works. A new certificate is shown without a restart, a broken one is not.
func TestPagesOverTLS(t *testing.T) {
	p := newPapers(t)
	p.write("token", []byte("secret\n"))
	addr, err := pgtest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	g := newFakeGuard()
	r := start(t, g, fmt.Sprintf("http: %s\nadmin: {token_file: %s, tls: {cert: %s, key: %s, client_ca: %s}}", addr, p.path("token"), p.path("pages.crt"),
		p.path("pages.key"), p.path("ca.crt")))
	<-g.served
	stranger, _ := auth.NewAuthority("stranger", time.Hour)
	pair, err := stranger.Issue("caller", []string{"caller"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p.write("stranger.crt", pair.Cert)
	p.write("stranger.key", pair.Key)
	for _, c := range []struct {
		scheme, path, shows, token string
		want                       int
	}{
		{"https", "/metrics", "", "", 401}, {"https", "/metrics", "", "wrong", 401}, {"https", "/metrics", "", "secret", 200},
		{"https", "/metrics", "caller", "", 200}, {"https", "/metrics", "stranger", "secret", 0}, {"https", "/livez", "", "", 200},
		{"http", "/metrics", "", "secret", 400}, {"http", "/livez", "", "", 400},
	} {
		if got := status(p.client(c.shows), c.scheme+"://"+addr+c.path, c.token); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
	first := shown(t, p, addr)
	p.write("pages.crt", []byte("broken"))
	if got := status(p.client(""), "https://"+addr+"/livez", ""); got != 200 {
		t.Errorf("with a broken file: got %d", got)
	}
	p.issue("pages", "localhost")
	for deadline := time.Now().Add(10 * time.Second); shown(t, p, addr) == first; {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not shown")
		}
	}
	r.signals <- syscall.SIGTERM
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// shown is the number of the certificate that callers are shown.
func shown(t *testing.T, p *papers, addr string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, p.client("").Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestPrometheusOfTheComposeFileIsLetIn: it comes by the name of a container, with what the compose file puts into its own.
func TestPrometheusOfTheComposeFileIsLetIn(t *testing.T) {
	const dir = "../../deploy/container/"
	var compose struct {
		Services map[string]struct{ Volumes []string }
	}
	var scrape struct {
		ScrapeConfigs []struct {
			Authorization struct {
				CredentialsFile string `yaml:"credentials_file"`
			}
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	readYAML(t, dir+"compose.yaml", &compose)
	readYAML(t, dir+"prometheus.yaml", &scrape)
	outside := func(service, inside string) string { // the file that a container has by this path
		for _, v := range compose.Services[service].Volumes {
			if from, to, _ := strings.Cut(strings.TrimSuffix(v, ":ro"), ":"); to == inside && inside != "" {
				return dir + from
			}
		}
		t.Errorf("%s has no file %q", service, inside)
		return ""
	}
	f, err := config.Load(dir+"pgguard.yaml", config.Override{Path: "upstream", Values: []string{"postgres://app@db/app"}})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := pgtest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	g := newFakeGuard()
	r := start(t, g, fmt.Sprintf("http: %s\nauth: {insecure: true}\nadmin: {token_file: %s}", addr, outside("pgguard", f.Admin.TokenFile)))
	<-g.served
	job := scrape.ScrapeConfigs[0]
	token, err := os.ReadFile(outside("prometheus", job.Authorization.CredentialsFile))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = job.StaticConfigs[0].Targets[0]
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("%s is answered %s", request.Host, answer.Status)
	}
	r.signals <- syscall.SIGTERM
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// readYAML reads a file into value.
func readYAML(t *testing.T, path string, value any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalWithOptions(text, value, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
