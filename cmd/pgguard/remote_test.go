package main

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRemotePagesOverTLSWithAToken: a guard whose certificate the given authorities vouch for is asked, with the token; another is not believed.
func TestRemotePagesOverTLSWithAToken(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			http.Error(w, "the token is missing or wrong \x1b[2J", http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`["yes"]`))
	}))
	defer s.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	token := file("token", "s3cret\n")
	var got []string
	if err := (&remote{HTTP: s.URL, remoteTrust: remoteTrust{CA: ca, TokenFile: token}}).get(context.Background(), "/x", &got); err != nil || len(got) != 1 {
		t.Errorf("%v %v", got, err)
	}
	for want, r := range map[string]*remote{
		"certificate":                   {HTTP: s.URL, remoteTrust: remoteTrust{TokenFile: token}},
		"the token is missing or wrong": {HTTP: s.URL, remoteTrust: remoteTrust{CA: ca}},
		"holds no certificate":          {HTTP: s.URL, remoteTrust: remoteTrust{CA: token}},
		"no such file":                  {HTTP: s.URL, remoteTrust: remoteTrust{CA: dir + "/absent"}},
		"--token-file":                  {HTTP: s.URL, remoteTrust: remoteTrust{CA: ca, TokenFile: dir + "/absent"}},
	} {
		err := r.get(context.Background(), "/x", &got)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%+v: %v, want %s", r, err, want)
		}
	}
}

// TestTokensCrossTheNetworkOverTLS: who leaves out https:// does not tell everybody on the way the token. http:// is his word.
func TestTokensCrossTheNetworkOverTLS(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		at, ca, token, want string
	}{
		{"guard.internal:9432", "", token, "https"}, {"10.0.0.5:9432", "", token, "https"}, {"guard.internal:9432", "", "", "http"},
		{"http://guard.internal:9432", "", token, "http"}, {"https://guard.internal:9432", "", "", "https"},
		{"127.0.0.1:9432", "", token, "http"}, {"localhost:9432", "", token, "http"}, {"[::1]:9432", "", token, "http"}, {":9432", "", token, "http"},
		{"0.0.0.0:9432", "", token, "http"}, {"127.0.0.1:9432", "ca.crt", "", "https"},
	} {
		r := &remote{HTTP: x.at, remoteTrust: remoteTrust{CA: x.ca, TokenFile: x.token}}
		request, err := r.request(t.Context(), "/x")
		if err != nil || request.URL.Scheme != x.want {
			t.Errorf("%+v: %v, %v", x, request, err)
		}
	}
}
