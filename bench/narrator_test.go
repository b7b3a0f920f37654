package bench

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgguard/bench/scenario"
)

// TestNarratorTellsWhatWasWrongInEachPhase: the last sentence about something wrong, else the last there was; nothing where nothing was said.
func TestNarratorTellsWhatWasWrongInEachPhase(t *testing.T) {
	answer := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/verdict" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer s.Close()
	var out bytes.Buffer
	n := &narrator{lines: newProgress(&out, "guard "), web: strings.TrimPrefix(s.URL, "http://")}
	at := time.Duration(0)
	shows := func(phase string, answers ...string) {
		at += plainEvery
		n.show(scenario.Progress{Done: at, Total: time.Minute, Text: phase + "  web 100/s"})
		for _, answer = range answers {
			n.hear(t.Context())
		}
	}
	shows("warmup")
	shows("before", `{"state": "calm", "sentence": "Nothing is wrong."}`, `{"state": "busy", "sentence": "All is used."}`, "no JSON")
	shows("stall", `{"state": "calm", "sentence": "Nothing is wrong."}`, `{"state": "guarding", "sentence": "3 wait."}`, `{"state": "idle_in_transaction", "sentence": "14 of 20 idle."}`,
		`{"state": "calm", "sentence": "Nothing is wrong."}`)
	shows("after", `{"state": "calm", "sentence": "Nothing is wrong."}`)
	n.end()
	want := []string{
		"guard     5/60 s  warmup  web 100/s", "guard    10/60 s  before  web 100/s", `guard   before: "All is used."`, "guard    15/60 s  stall  web 100/s",
		`guard   stall: "14 of 20 idle."`, "guard    20/60 s  after  web 100/s", `guard   after: "Nothing is wrong."`, "",
	}
	if got := out.String(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
}
