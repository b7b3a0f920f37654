package admin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"pgguard/proxy"
)

// call is one request, as the pages see it.
type call struct {
	token                string // that must be known
	certificates         bool   // are asked for
	path, host           string
	authorization        string
	shows                bool // a certificate that holds
	site, mode, whatsFor string
	status               int
}

func (c call) ask() *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", c.path, nil)
	r.Host = c.host
	for name, value := range map[string]string{
		"Authorization": c.authorization, "Sec-Fetch-Site": c.site, "Sec-Fetch-Mode": c.mode, "Sec-Fetch-Dest": c.whatsFor,
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if c.shows {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	} else if c.certificates {
		r.TLS = &tls.ConnectionState{}
	}
	w := httptest.NewRecorder()
	admit(func() string { return c.token }, c.certificates, map[string]bool{"/": true}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })).ServeHTTP(w, r)
	return w
}

func TestPagesAreForThoseWhoMaySeeThem(t *testing.T) {
	for _, c := range []call{
		{path: "/metrics", host: "127.0.0.1:9432", status: 200},
		{path: "/metrics", host: "[::1]:9432", status: 200},
		{path: "/metrics", host: "localhost", status: 200},
		{path: "/metrics", status: 200},
		{path: "/metrics", host: "evil.example:9432", status: 403},
		{path: "/metrics", host: "127.0.0.1.evil.example", status: 403},
		{path: "/api/v1/state", host: "localhost.evil.example", status: 403},
		{path: "/readyz", host: "pgguard.svc:9432", status: 200},
		{token: "secret", path: "/livez", host: "pgguard.svc", status: 200},
		{token: "secret", path: "/metrics", host: "127.0.0.1", status: 401},
		{token: "secret", path: "/metrics", host: "127.0.0.1", authorization: "Bearer wrong", status: 401},
		{token: "secret", path: "/metrics", host: "127.0.0.1", authorization: "secret", status: 401},
		{token: "secret", path: "/api/v1/state", host: "127.0.0.1", authorization: "Bearer ", status: 401},
		{token: "secret", path: "/", host: "pgguard.svc", status: 200},
		{token: "secret", path: "/x", host: "127.0.0.1", status: 401},
		{path: "/", host: "evil.example", status: 403},
		{certificates: true, path: "/", host: "127.0.0.1", status: 401},
		{token: "secret", path: "/metrics", host: "pgguard.svc", authorization: "Bearer secret", status: 200},
		{certificates: true, path: "/metrics", host: "127.0.0.1", status: 401},
		{certificates: true, path: "/readyz", host: "127.0.0.1", status: 200},
		{certificates: true, path: "/metrics", host: "pgguard.svc", shows: true, status: 200},
		{certificates: true, token: "secret", path: "/metrics", host: "pgguard.svc", shows: true, status: 200},
		{certificates: true, token: "secret", path: "/metrics", host: "pgguard.svc", status: 401},
		{certificates: true, token: "secret", path: "/metrics", host: "pgguard.svc", authorization: "Bearer secret", status: 200},
	} {
		w := c.ask()
		if w.Code != c.status {
			t.Errorf("%+v: status %d", c, w.Code)
		}
		for _, name := range []string{"X-Frame-Options", "Content-Security-Policy", "X-Content-Type-Options", "Cross-Origin-Resource-Policy"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%+v: no %s", c, name)
			}
		}
	}
}

// TestPagesOfOthersCannotAsk: a page of another site in somebody's browser has nothing done or read by it, also where the browser shows a certificate
// of its own accord; a link to a page works.
func TestPagesOfOthersCannotAsk(t *testing.T) {
	for _, c := range []call{
		{site: "cross-site", mode: "no-cors", whatsFor: "image", status: 403},
		{site: "cross-site", mode: "cors", whatsFor: "empty", status: 403},
		{site: "same-site", mode: "no-cors", whatsFor: "script", status: 403},
		{site: "cross-site", mode: "navigate", whatsFor: "iframe", status: 403},
		{site: "cross-site", mode: "navigate", whatsFor: "document", status: 200},
		{site: "same-origin", mode: "cors", whatsFor: "empty", status: 200},
		{site: "none", mode: "navigate", whatsFor: "document", status: 200},
	} {
		for _, c.certificates = range []bool{false, true} {
			c.path, c.host, c.shows = "/debug/pprof/profile", "127.0.0.1:9432", c.certificates
			if w := c.ask(); w.Code != c.status {
				t.Errorf("%+v: status %d", c, w.Code)
			}
		}
	}
}

// TestStrangersAreNotToldWhyAGuardIsNotReady: its reason names hosts, users and what a program has said.
func TestStrangersAreNotToldWhyAGuardIsNotReady(t *testing.T) {
	why := errors.New("db.internal:5432: password command: no token for arn:secret")
	for _, c := range []struct {
		token, shows, host, from string
		err                      error
		want                     string
	}{
		{"token", "", "guard.example", "192.0.2.1:9", why, "not ready\n"},
		{"token", "", "127.0.0.1", "192.0.2.1:9", why, "not ready\n"},
		{"token", "", "guard.example", "127.0.0.1:9", why, "not ready\n"},
		{"", "", "evil.example", "127.0.0.1:9", why, "not ready\n"},
		{"token", "Bearer token", "guard.example", "192.0.2.1:9", why, why.Error() + "\n"},
		{"token", "", "127.0.0.1:9432", "127.0.0.1:9", why, why.Error() + "\n"},
		{"", "", "localhost", "127.0.0.1:9", why, why.Error() + "\n"},
		{"token", "", "guard.example", "192.0.2.1:9", proxy.ErrDraining, "draining\n"},
	} {
		r := httptest.NewRequest("GET", "/readyz", nil)
		r.Host, r.RemoteAddr = c.host, c.from
		if c.shows != "" {
			r.Header.Set("Authorization", c.shows)
		}
		w := httptest.NewRecorder()
		Handler(Options{Ready: func() error { return c.err }, Token: func() string { return c.token }, Metrics: says(""), History: says(""), Stream: says("")}).ServeHTTP(w, r)
		if got := w.Body.String(); w.Code != 503 || got != c.want {
			t.Errorf("%+v: %d %q", c, w.Code, got)
		}
	}
}
