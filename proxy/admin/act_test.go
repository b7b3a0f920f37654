package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// doer notes what it is told to do.
type doer struct {
	did []string
	err error
}

func (d *doer) do(format string, args ...any) error {
	d.did = append(d.did, fmt.Sprintf(format, args...))
	return d.err
}

func (d *doer) acts() Acts {
	return Acts{
		Pause:   func(context.Context) error { return d.do("pause") },
		Resume:  func() error { return d.do("resume") },
		Enforce: func(enforce bool) error { return d.do("enforce %v", enforce) },
		Signal:  func(_ context.Context, pid int, end bool) error { return d.do("signal %d %v", pid, end) },
	}
}

// wish is one request for something to be done; what is not said is as it must be.
type wish struct {
	method, path, token, authorization, origin, site, kind, body string

	status int
	did    string
}

func (c wish) ask(t *testing.T, d *doer) {
	t.Helper()
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return strings.TrimPrefix(text, "none")
	}
	o := Options{Ready: func() error { return nil }, Token: func() string { return or(c.token, "s3cret") }, Acts: d.acts(), Metrics: http.NotFoundHandler(), History: http.NotFoundHandler(), Stream: http.NotFoundHandler()}
	r := httptest.NewRequest(or(c.method, "POST"), or(c.path, "/api/v1/pause"), strings.NewReader(or(c.body, `{"confirm": true}`)))
	r.Host = "127.0.0.1:9432"
	for name, value := range map[string]string{
		"Authorization": or(c.authorization, "Bearer s3cret"), "Origin": c.origin, "Sec-Fetch-Site": c.site, "Content-Type": or(c.kind, "application/json"),
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	Handler(o).ServeHTTP(w, r)
	if got := strings.Join(d.did, ", "); w.Code != c.status || got != c.did {
		t.Errorf("%+v: status %d, done %q: %s", c, w.Code, got, w.Body)
	}
}

// TestOnlyWhoKnowsTheTokenHasSomethingDone: by POST, from no page of another site, and confirmed. Nothing else changes anything.
func TestOnlyWhoKnowsTheTokenHasSomethingDone(t *testing.T) {
	for _, c := range []wish{
		{status: 200, did: "pause"},
		{origin: "http://127.0.0.1:9432", site: "same-origin", status: 200, did: "pause"},
		{origin: "https://127.0.0.1:9432", status: 200, did: "pause"},
		{path: "/api/v1/resume", status: 200, did: "resume"},
		{path: "/api/v1/mode", body: `{"confirm": true, "mode": "observe"}`, status: 200, did: "enforce false"},
		{path: "/api/v1/mode", body: `{"confirm": true, "mode": "enforce"}`, status: 200, did: "enforce true"},
		{path: "/api/v1/mode", body: `{"confirm": true, "mode": "off"}`, status: 409},
		{path: "/api/v1/cancel", body: `{"confirm": true, "pid": 4711}`, status: 200, did: "signal 4711 false"},
		{path: "/api/v1/cancel", body: `{"confirm": true, "pid": 4711, "end": true}`, status: 200, did: "signal 4711 true"},
		{kind: "application/json; charset=utf-8", status: 200, did: "pause"},
		{authorization: "bearer s3cret", status: 200, did: "pause"},
		{authorization: "BEARER  s3cret", status: 200, did: "pause"},

		{method: "GET", status: 405},
		{method: "HEAD", status: 405},
		{method: "PUT", status: 405},
		{method: "OPTIONS", status: 405},
		{path: "/api/v1/verdict", status: 405},
		{path: "/", status: 405},
		{token: "none", authorization: "none", status: 403},
		{token: "none", authorization: "Bearer ", status: 403},
		{authorization: "none", status: 401},
		{authorization: "Bearer wrong", status: 401},
		{authorization: "Bearer ", status: 401},
		{authorization: "s3cret", status: 401},
		{authorization: "Basic s3cret", status: 401},
		{origin: "http://evil.example", status: 403},
		{origin: "http://evil.example:9432", status: 403},
		{origin: "http://127.0.0.1", status: 403},
		{origin: "null", status: 403},
		{site: "cross-site", status: 403},
		{site: "same-site", status: 403},
		{site: "none", status: 403},
		{kind: "none", status: 415},
		{kind: "text/plain", status: 415},
		{kind: "application/x-www-form-urlencoded", body: "confirm=true", status: 415},
		{body: `{}`, status: 400},
		{body: `{"confirm": false}`, status: 400},
		{body: `{"confirm": "true"}`, status: 400},
		{body: `{"confirm": true, "force": true}`, status: 400},
		{body: `none`, status: 400},
		{body: `{"confirm": true, "mode": "` + strings.Repeat("x", 4<<10) + `"}`, status: 400},
	} {
		c.ask(t, &doer{})
	}
	for _, path := range []string{"/api/v1/pause", "/api/v1/resume", "/api/v1/mode", "/api/v1/cancel"} {
		wish{method: "GET", path: path, status: 405}.ask(t, &doer{})
		wish{path: path, authorization: "Bearer wrong", status: 401}.ask(t, &doer{})
		wish{path: path, origin: "http://evil.example", status: 403}.ask(t, &doer{})
	}
}

// TestWhatCannotBeDoneIsSaid, and a pause that has begun is one though some still have a server.
func TestWhatCannotBeDoneIsSaid(t *testing.T) {
	wish{status: 409, did: "pause"}.ask(t, &doer{err: errors.New("already paused")})
	wish{status: 200, did: "pause"}.ask(t, &doer{err: fmt.Errorf("pause: %w", context.DeadlineExceeded)})
	if a := (Acts{}); len(a.handlers(func() string { return "s3cret" })) != 0 {
		t.Error("what is not there is offered")
	}
}
