package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Acts are what a caller who knows the token may have done. A nil one is not offered.
type Acts struct {
	// Pause has clients wait before their next transaction, and returns when none has a server; or when ctx ends, with its error, and they wait all the same.
	Pause func(ctx context.Context) error
	// Resume has them go on.
	Resume func() error
	// Enforce has the guard do what it decides, or only tell of it.
	Enforce func(enforce bool) error
	// Signal cancels what the culprit of a verdict runs, by the number of its process, or ends its session.
	Signal func(ctx context.Context, pid int, end bool) error
}

// order is what a caller asks for. It must say that it means it.
type order struct {
	Confirm bool   `json:"confirm"`
	Mode    string `json:"mode"`
	PID     int    `json:"pid"`
	End     bool   `json:"end"`
}

const (
	// actLimit is how long an act may take: a person waits, and the write deadline of the pages is far longer.
	actLimit = 10 * time.Second
	// maxOrder is the longest order in bytes; one has some sixty.
	maxOrder = 1 << 10
)

// handlers are the acts by their path.
func (a *Acts) handlers(secret func() string) map[string]http.Handler {
	all := map[string]http.Handler{}
	if a.Pause != nil {
		all["/api/v1/pause"] = act(secret, func(ctx context.Context, _ *order) (string, error) {
			err := a.Pause(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				return "paused; some clients still have a server, until their transactions end", nil
			}
			return "paused", err
		})
	}
	if a.Resume != nil {
		all["/api/v1/resume"] = act(secret, func(context.Context, *order) (string, error) { return "resumed", a.Resume() })
	}
	if a.Enforce != nil {
		all["/api/v1/mode"] = act(secret, func(_ context.Context, o *order) (string, error) {
			if o.Mode != "enforce" && o.Mode != "observe" {
				return "", fmt.Errorf("mode %q is not enforce or observe", o.Mode)
			}
			return "mode is " + o.Mode, a.Enforce(o.Mode == "enforce")
		})
	}
	if a.Signal != nil {
		all["/api/v1/cancel"] = act(secret, func(ctx context.Context, o *order) (string, error) {
			did := "cancelled"
			if o.End {
				did = "ended"
			}
			return did, a.Signal(ctx, o.PID, o.End)
		})
	}
	return all
}

// act returns a handler that does what do does, for who asks by POST, knows the token, is not a page of another site, and confirms it. Where no token is
// configured nobody may: who can reach the pages may look, and not more.
func act(secret func() string, do func(ctx context.Context, o *order) (did string, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		token := known(secret)
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", "POST")
			http.Error(w, "only POST is answered here: it changes something", http.StatusMethodNotAllowed)
		case token == "":
			http.Error(w, "give pgguard a token (admin.token_file); only who knows it may change something", http.StatusForbidden)
		case !knows(r, token):
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the token is missing or wrong (admin.token_file)", http.StatusUnauthorized)
		case foreign(r):
			http.Error(w, "a page of another site cannot ask for this", http.StatusForbidden)
		case kind != "application/json":
			http.Error(w, "say what is meant as application/json", http.StatusUnsupportedMediaType)
		default:
			obey(w, r, do)
		}
	})
}

// obey reads an order and does it.
func obey(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, o *order) (did string, err error)) {
	var o order
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		http.Error(w, "this cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	if !o.Confirm {
		http.Error(w, `this changes something: say "confirm": true`, http.StatusBadRequest)
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), actLimit)
	defer stop()
	did, err := do(ctx, &o)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"did": did}) // who asked may have gone
}

// known is the token as of now; empty: there is none.
func known(secret func() string) string {
	if secret == nil {
		return ""
	}
	return secret()
}

// knows is true for a caller that shows the token.
func knows(r *http.Request, token string) bool {
	scheme, given, is := strings.Cut(r.Header.Get("Authorization"), " ")
	given, is = strings.TrimLeft(given, " "), is && strings.EqualFold(scheme, "Bearer")
	got, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && is
}

// foreign is true for what a browser asks on behalf of a page that is not the guard's own.
func foreign(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	own, err := url.Parse(origin)
	return err != nil || own.Host == "" || !strings.EqualFold(own.Host, r.Host)
}
