package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/instance"
)

// site is a Handler whose readiness the test chooses.
type site struct {
	notReady error
	pprof    bool
	stats    proxy.Stats
}

func (s *site) get(t *testing.T, method, path string) (int, http.Header, string) {
	t.Helper()
	h := Handler(Options{
		Ready: func() error { return s.notReady },
		State: func() any { return NewState(s.stats, "v1", "enforce", s.notReady) },
		Events: func(since uint64) any {
			list := []event.Event{{Seq: 7, Kind: event.Limit, Cause: "knee_found", From: "9", To: "8"}}
			if since >= 7 {
				list = nil
			}
			return NewEvents(list, 2)
		},
		Verdict:   func() any { return diagnosis.Verdict{State: diagnosis.Locks, Sentence: "Everybody wants <one> row."} },
		Incidents: func() any { return []diagnosis.Incident{{Number: 3, Cause: "lock_line"}} },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "pgguard_clients 1\n")
		}),
		History: says("history"), Stream: says("stream"), Page: map[string]http.Handler{"/": says("<page>"), "/script.js": says("script")},
		Version: "v1",
		Pprof:   s.pprof,
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "http://localhost"+path, nil))
	return w.Code, w.Header(), w.Body.String()
}

// says is a page with a text.
func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// TestBrowsersAreShownThePage: who asks for HTML is answered with the page, others with the list of what there is.
func TestBrowsersAreShownThePage(t *testing.T) {
	h := Handler(Options{Version: "v1", Metrics: says(""), History: says(""), Stream: says(""), Page: map[string]http.Handler{"/": says("<page>")}})
	for accept, want := range map[string]string{"text/html,application/xhtml+xml,*/*;q=0.8": "<page>", "*/*": "/readyz", "": "/readyz"} {
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); !strings.Contains(w.Body.String(), want) || w.Header().Get("Vary") != "Accept" {
			t.Errorf("Accept %q: %q %v", accept, w.Body, w.Header())
		}
	}
}

func TestPagesAnswer(t *testing.T) {
	s := &site{}
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 200, "/readyz "},
		{"GET", "/livez", 200, "ok\n"},
		{"GET", "/readyz", 200, "ok\n"},
		{"HEAD", "/readyz", 200, ""},
		{"GET", "/metrics", 200, "pgguard_clients 1"},
		{"GET", "/api/v1/state", 200, `"version": "v1"`},
		{"GET", "/api/v1/verdict", 200, `"state": "locks"`},
		{"GET", "/api/v1/incidents", 200, `"cause": "lock_line"`},
		{"GET", "/api/v1/history", 200, "history"},
		{"GET", "/api/v1/stream", 200, "stream"},
		{"GET", "/script.js", 200, "script"},
		{"GET", "/absent", 404, "/ lists the pages"},
		{"GET", "/livez/x", 404, "/ lists the pages"},
		{"GET", "/debug/pprof/", 404, "/ lists the pages"},
		{"POST", "/livez", 405, "only GET"},
		{"DELETE", "/", 405, "only GET"},
	} {
		status, _, body := s.get(t, c.method, c.path)
		if status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s %s: got %d %q, want %d with %q", c.method, c.path, status, body, c.status, c.body)
		}
	}
	s.pprof = true
	if status, _, body := s.get(t, "GET", "/debug/pprof/"); status != 200 || !strings.Contains(body, "goroutine") {
		t.Errorf("/debug/pprof/ with pprof: got %d", status)
	}
	if status, _, _ := s.get(t, "GET", "/debug/pprof/cmdline"); status != 404 { // it may have a password
		t.Errorf("the command line: got %d", status)
	}
	if _, _, body := s.get(t, "GET", "/"); !strings.Contains(body, "/debug/pprof/") {
		t.Errorf("the index does not name /debug/pprof/:\n%s", body)
	}
}

func TestReadinessSaysWhyNotAndLivenessDoesNotCare(t *testing.T) {
	s := &site{notReady: errors.New("db:5432 refuses connections")}
	if status, h, body := s.get(t, "GET", "/readyz"); status != 503 || body != "db:5432 refuses connections\n" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("/readyz: got %d %q %v", status, body, h)
	}
	if status, _, _ := s.get(t, "GET", "/livez"); status != 200 {
		t.Errorf("/livez: got %d", status)
	}
}

func TestStateIsCompleteJSON(t *testing.T) {
	s := &site{notReady: errors.New("draining")}
	var empty map[string]any
	if _, _, body := s.get(t, "GET", "/api/v1/state"); json.Unmarshal([]byte(body), &empty) != nil || strings.Contains(body, "null") {
		t.Errorf("of nothing: %s", body)
	}
	s.stats = proxy.Stats{
		Clients:  map[string]int{"idle": 3},
		Refusals: map[proxy.ReasonClass]uint64{{Reason: "wait", Class: "low"}: 2, {Reason: "queue_full", Class: "low"}: 1},
		Pools: []instance.Stats{{
			Name:  "db:5432",
			Stats: pool.Stats{Cap: 97, Down: errors.New("refused"), Classes: []pool.ClassStats{{Name: "low", Waiting: 4, Oldest: time.Second}}},
		}},
	}
	var got State
	_, h, body := s.get(t, "GET", "/api/v1/state")
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if h.Get("Content-Type") != "application/json" || got.Ready || got.NotReady != "draining" || got.Clients["idle"] != 3 ||
		got.Refusals[0] != (Refused{"queue_full", "low", 1}) || got.Pools[0].LastError != "refused" ||
		got.Pools[0].MaxServers != 97 || got.Pools[0].Classes[0].OldestSeconds != 1 {
		t.Errorf("got %s", body)
	}
}

func TestEventsAnswerWhatComesAfter(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/events":         `"seq": 7`,
		"/api/v1/events?since=6": `"cause": "knee_found"`,
		"/api/v1/events?since=7": `"events": []`,
	} {
		if code, _, body := (&site{}).get(t, "GET", path); code != 200 || !strings.Contains(body, want) || !strings.Contains(body, `"missed": 2`) {
			t.Errorf("%s: %d %s, want %s", path, code, body, want)
		}
	}
	if code, _, body := (&site{}).get(t, "GET", "/api/v1/events?since=yesterday"); code != 400 || !strings.Contains(body, `since="yesterday"`) {
		t.Errorf("a number that is none: %d %s", code, body)
	}
}
