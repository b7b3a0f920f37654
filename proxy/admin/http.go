package admin

import (
	"container/list"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"time"

	"pgguard/proxy"
)

// Options are what the pages are made of.
type Options struct {
	// Ready returns nil if a client can be served now, else why not. It must not wait for the database.
	Ready func() error
	// State returns what /api/v1/state shows, as a value for encoding/json.
	State func() any
	// Events returns what /api/v1/events shows: the decisions after the one with this number, as a value for encoding/json.
	Events func(since uint64) any
	// Verdict returns what /api/v1/verdict shows: what is wrong, as a value for encoding/json.
	Verdict func() any
	// Incidents returns what /api/v1/incidents shows: times in which something was wrong, as a value for encoding/json.
	Incidents func() any
	// Config returns what /api/v1/config shows: the configuration in effect, secrets masked, as a value for encoding/json.
	Config func() any
	// Page are the files of the page that a browser is shown, by path: "/" is the page. They are the same for everybody. nil: there is none.
	Page map[string]http.Handler
	// History and Stream answer /api/v1/history and /api/v1/stream: what the page draws.
	History, Stream http.Handler
	// Metrics answers /metrics.
	Metrics http.Handler
	// Acts are what who knows the token may have done.
	Acts Acts
	// Token is what a caller must know, as of now; nil, and empty: nothing, but nobody may have anything done.
	Token func() string
	// Certificates says that callers may show one in the place of the token, and must if there is no token.
	Certificates bool
	// Version is shown on the index.
	Version string
	// Pprof serves Go's profiles under /debug/pprof, but for the command line, which may have a password.
	Pprof bool
}

// page is one address and what is there.
type page struct {
	path, about string
	handler     http.Handler
}

// Handler returns the pages. It is safe for concurrent use if the functions in o are.
func Handler(o Options) http.Handler {
	pages := []page{
		{"/metrics", "metrics for Prometheus", o.Metrics},
		{"/livez", "200 while the process works; asks no database", text(alive)},
		{"/readyz", "200 if a client can be served now, else 503 and why", ready(o.Ready)},
		{"/api/v1/state", "clients, servers, queues and counts as JSON", state(func(*http.Request) (any, error) { return o.State(), nil })},
		{"/api/v1/verdict", "what is wrong, who causes it and what to do, as JSON", state(func(*http.Request) (any, error) { return o.Verdict(), nil })},
		{"/api/v1/incidents", "times in which something was wrong: begin, end, cause, peak, who was refused, as JSON", state(func(*http.Request) (any, error) { return o.Incidents(), nil })},
		{"/api/v1/config", "the configuration in effect, secrets masked, as JSON", state(func(*http.Request) (any, error) { return o.Config(), nil })},
		{"/api/v1/history", "15 minutes of seconds and a day of minutes, as rows of numbers", o.History},
		{"/api/v1/stream", "what the page shows, each second, as server-sent events", o.Stream},
		{"/api/v1/events", "what the guard decided and why, as JSON; ?since=N for what comes after number N", state(events(o.Events))},
	}
	mux := http.NewServeMux()
	if o.Pprof {
		pages = append(pages, page{"/debug/pprof/", "profiles", http.HandlerFunc(pprof.Index)})
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	for _, p := range pages {
		mux.Handle(p.path, p.handler)
	}
	public := map[string]bool{}
	for path, file := range o.Page {
		if public[path] = true; path != "/" {
			mux.Handle(path, file)
		}
	}
	mux.Handle("/{$}", front(o.Page["/"], text(index(o.Version, pages))))
	mux.Handle("/", text(func() (int, string) {
		return http.StatusNotFound, "there is nothing here; / lists the pages\n"
	}))
	return admit(o.Token, o.Certificates, public, apart(o.Acts.handlers(o.Token), getOnly(mux)))
}

// Server returns an HTTP server of h whose peers cannot hold a connection for ever, and no more than MaxConns. The caller serves
// and closes it.
func Server(h http.Handler) *http.Server {
	c := &conns{all: map[net.Conn]*list.Element{}}
	return &http.Server{
		ConnState:         c.changed,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      90 * time.Second, // longer than a profile of 60 s
		IdleTimeout:       2 * time.Minute,  // longer than the time between two scrapes
		MaxHeaderBytes:    16 << 10,
	}
}

// apart has some paths answered by handlers of their own.
func apart(handlers map[string]http.Handler, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := handlers[r.URL.Path]; h != nil {
			h.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// getOnly answers 405 to what would change something.
func getOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET is answered here", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// text returns a handler that answers what f returns, never from a cache.
func text(f func() (status int, body string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status, body := f()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // who asked may have gone
	})
}

func alive() (int, string) { return http.StatusOK, "ok\n" }

// ready answers whether a client can be served. A stranger is not told why not, but for a guard that drains, which its successor must know.
func ready(f func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text(func() (int, string) {
			switch err := f(); {
			case err == nil:
				return alive()
			case isStranger(r) && !errors.Is(err, proxy.ErrDraining):
				return http.StatusServiceUnavailable, "not ready\n"
			default:
				return http.StatusServiceUnavailable, err.Error() + "\n"
			}
		}).ServeHTTP(w, r)
	})
}

// front answers a browser with the page, if there is one, and others with the list of what there is.
func front(page, list http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		if page != nil && strings.Contains(r.Header.Get("Accept"), "text/html") {
			page.ServeHTTP(w, r)
			return
		}
		list.ServeHTTP(w, r)
	})
}

// index returns a list of the pages.
func index(version string, pages []page) func() (int, string) {
	body := "pgguard " + version + "\n\n"
	for _, p := range pages {
		body += fmt.Sprintf("%-18s %s\n", p.path, p.about)
	}
	return func() (int, string) { return http.StatusOK, body }
}

// events returns what f does for the number that a request asks for.
func events(f func(since uint64) any) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		since := uint64(0)
		if v := r.URL.Query().Get("since"); v != "" {
			var err error
			if since, err = strconv.ParseUint(v, 10, 64); err != nil {
				return nil, fmt.Errorf("since=%q is not the number of an event", v)
			}
		}
		return f(since), nil
	}
}

// state returns a handler that answers what f returns as JSON, and 400 if it returns an error.
func state(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, err := f(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			http.Error(w, "the state cannot be written as JSON: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(append(body, '\n')) // who asked may have gone
	})
}
