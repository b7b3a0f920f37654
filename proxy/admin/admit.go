package admin

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// admit lets through who may see the pages: who knows the token, or has shown a certificate that holds; where neither is asked for, who calls the
// guard by an address or as localhost, because a page of somebody else's, by a name of his that leads here, would read what is not for him (DNS
// rebinding). What a browser asks for on behalf of another site's page, other than to show it, is refused. Whether the process works, and serves, may be asked by
// anybody; why it does not is for the others, and for who is on this machine.
// Where a token is asked for, what is public may be had without: the page that asks for it, which says nothing about this guard.
func admit(secret func() string, certificates bool, public map[string]bool, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		token := known(secret)
		status, why := denied(r, token, certificates, public)
		switch open := r.URL.Path == "/livez" || r.URL.Path == "/readyz"; {
		case status == 0:
		case open && !isNear(r):
			r = r.WithContext(context.WithValue(r.Context(), strangerKey{}, true))
		case open:
		default:
			if status == http.StatusUnauthorized && token != "" {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			http.Error(w, why, status)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// strangerKey marks the context of a request of somebody who may not see the pages.
type strangerKey struct{}

// isStranger is true for a request of somebody who may not see the pages, and is told no more than he asks for.
func isStranger(r *http.Request) bool { return r.Context().Value(strangerKey{}) != nil }

// denied is why a caller may not see a page; status is 0 if he may.
func denied(r *http.Request, token string, certificates bool, public map[string]bool) (status int, why string) {
	switch {
	case borrowed(r):
		return http.StatusForbidden, "a page of another site cannot ask for this"
	case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
	case token != "" && (public[r.URL.Path] || knows(r, token)):
	case token != "":
		return http.StatusUnauthorized, "the token is missing or wrong (admin.token_file)"
	case certificates:
		return http.StatusUnauthorized, "a certificate of admin.tls.client_ca is missing"
	case !byAddress(r.Host):
		return http.StatusForbidden, "call pgguard by its address or as localhost, or give it a token (admin.token_file)"
	}
	return 0, ""
}

// isNear is true for a request that comes from this machine, and is not one of a browser that a page of somebody else's makes ask.
func isNear(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback() && byAddress(r.Host) && !borrowed(r)
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
