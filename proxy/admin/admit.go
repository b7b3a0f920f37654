package admin

import (
	"net"
	"net/http"
	"strings"
)

// admit lets through who may see the pages: who knows the token, or has shown a certificate that holds; where neither is asked for, who calls the
// guard by an address or as localhost, because a page of somebody else's, by a name of his that leads here, would read what is not for him (DNS
// rebinding). What a browser asks for on behalf of another site's page, other than to show it, is refused. Whether the process works may be asked by anybody.
// Where a token is asked for, what is public may be had without: the page that asks for it, which says nothing about this guard.
func admit(secret func() string, certificates bool, public map[string]bool, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		token := known(secret)
		open := r.URL.Path == "/livez" || r.URL.Path == "/readyz"
		switch {
		case open:
		case borrowed(r):
			http.Error(w, "a page of another site cannot ask for this", http.StatusForbidden)
			return
		case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		case token != "" && public[r.URL.Path]:
		case token != "":
			if !knows(r, token) {
				w.Header().Set("WWW-Authenticate", "Bearer")
				http.Error(w, "the token is missing or wrong (admin.token_file)", http.StatusUnauthorized)
				return
			}
		case certificates:
			http.Error(w, "a certificate of admin.tls.client_ca is missing", http.StatusUnauthorized)
			return
		case !byAddress(r.Host):
			http.Error(w, "call pgguard by its address or as localhost, or give it a token (admin.token_file)", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// borrowed is true for what a browser asks for on behalf of a page of another site, but if it is to show it by itself, as of a link.
func borrowed(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
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
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
}
