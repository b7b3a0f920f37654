package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"pgguard/proxy"
	"pgguard/proxy/paper"
)

// remote is the pages of a guard that runs.
type remote struct {
	HTTP        string `name:"http" env:"PGGUARD_HTTP" default:"127.0.0.1:9432" placeholder:"ADDR" help:"Address of the pages of a running pgguard, host:port or a URL; without https:// it is asked over TLS if --ca is given, or --token-file for another machine."`
	remoteTrust `embed:""`
}

// remoteTrust is whom a guard's pages are believed, and what they are told.
type remoteTrust struct {
	CA        string `name:"ca" env:"PGGUARD_CA" placeholder:"FILE" help:"File with the authorities that vouch for the certificate of those pages (admin.tls); without one, the system's."`
	TokenFile string `name:"token-file" env:"PGGUARD_TOKEN_FILE" placeholder:"FILE" help:"File with the token of those pages (admin.token_file)."`
}

// maxPage bounds what is read of a page: a thousandth of it is usual.
const maxPage = 64 << 20

// request is for a page.
func (r *remote) request(ctx context.Context, path string) (*http.Request, error) {
	base := r.HTTP
	if !strings.Contains(base, "://") {
		base = r.scheme() + base
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+path, nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("--http: %w", err)}
	}
	if r.TokenFile != "" {
		token, err := paper.Read(r.TokenFile, paper.Small)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	return request, nil
}

// scheme is that of an address without one: TLS where there is something to look for in a certificate, or a token would cross the network.
func (r *remote) scheme() string {
	host, _, err := net.SplitHostPort(r.HTTP)
	near := err != nil || host == "" || proxy.IsLoopback(host) || net.ParseIP(host).IsUnspecified()
	if r.CA != "" || r.TokenFile != "" && !near {
		return "https://"
	}
	return "http://"
}

// client is for pages over TLS or without.
func (r *remote) client() (*http.Client, error) {
	if r.CA == "" {
		return http.DefaultClient, nil
	}
	text, err := paper.Read(r.CA, paper.Small)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, usageError{fmt.Errorf("--ca: %s holds no certificate", r.CA)}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}, nil
}

// get reads a page into value.
func (r *remote) get(ctx context.Context, path string, value any) error {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	answer, err := r.ask(ctx, path)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	if err != nil {
		return fmt.Errorf("ask pgguard: %w", err)
	}
	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("%s of %s is not what pgguard answers: %w", path, r.HTTP, err)
	}
	return nil
}

// nobodyThere has an error about pages say what to look at where nobody listens.
func nobodyThere(err error) error {
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return fmt.Errorf("%w; no pgguard has its pages there: is it running, and is this its address (--http, PGGUARD_HTTP, http in its file)?", err)
}

// ask asks for a page that is read for as long as it lasts.
func (r *remote) ask(ctx context.Context, path string) (*http.Response, error) {
	request, err := r.request(ctx, path)
	if err != nil {
		return nil, err
	}
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask pgguard: %w", nobodyThere(err))
	}
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		_ = answer.Body.Close()
		return nil, fmt.Errorf("pgguard at %s answers %s: %s", r.HTTP, answer.Status, plain(strings.TrimSpace(string(body))))
	}
	return answer, nil
}
