package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// admit lets through who may see the pages: with a token, who knows it; without one, who calls the guard by an address or as localhost, because a
// page of somebody else's, by a name of his that leads here, would read what is not for him (DNS rebinding). Whether the process works may
// be asked by anybody.
func admit(token string, h http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		open := r.URL.Path == "/livez" || r.URL.Path == "/readyz"
		switch given, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); {
		case open:
		case token != "":
			if got := sha256.Sum256([]byte(given)); !is || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				http.Error(w, "the token is missing or wrong (admin.token_file)", http.StatusUnauthorized)
				return
			}
		case !byAddress(r.Host):
			http.Error(w, "call pgguard by its address or as localhost, or give it a token (admin.token_file)", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// byAddress is true if a Host header is an address or localhost.
func byAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return host == "" || host == "localhost" || net.ParseIP(host) != nil
}

// secure has browsers show a page by itself, run nothing in it and tell nobody where it was.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
}
