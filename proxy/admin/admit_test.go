package admin

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
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
