package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestPagesAreForThoseWhoMaySeeThem(t *testing.T) {
	for _, c := range []struct {
		token, path, host, authorization string
		status                           int
	}{
		{"", "/metrics", "127.0.0.1:9432", "", 200},
		{"", "/metrics", "[::1]:9432", "", 200},
		{"", "/metrics", "localhost", "", 200},
		{"", "/metrics", "", "", 200},
		{"", "/metrics", "evil.example:9432", "", 403},
		{"", "/metrics", "127.0.0.1.evil.example", "", 403},
		{"", "/api/v1/state", "localhost.evil.example", "", 403},
		{"", "/readyz", "pgguard.svc:9432", "", 200},
		{"secret", "/livez", "pgguard.svc", "", 200},
		{"secret", "/metrics", "127.0.0.1", "", 401},
		{"secret", "/metrics", "127.0.0.1", "Bearer wrong", 401},
		{"secret", "/metrics", "127.0.0.1", "secret", 401},
		{"secret", "/", "127.0.0.1", "Bearer ", 401},
		{"secret", "/metrics", "pgguard.svc", "Bearer secret", 200},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Host = c.host
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		w := httptest.NewRecorder()
		admit(c.token, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })).ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%+v: status %d", c, w.Code)
		}
		if w.Header().Get("X-Frame-Options") != "DENY" || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%+v: headers %v", c, w.Header())
		}
	}
}
