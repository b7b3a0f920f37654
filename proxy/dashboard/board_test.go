package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy/dashboard"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/witness"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func history(t *testing.T, b *dashboard.Board) dashboard.History {
	t.Helper()
	w := httptest.NewRecorder()
	b.ServeHistory(w, httptest.NewRequest("GET", "/", nil))
	var h dashboard.History
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHistoryIsSecondsAndMinutes: 15 minutes of seconds and a day of minutes, whatever has gone before; a minute is the mean of its seconds, and of what is worst the worst.
func TestHistoryIsSecondsAndMinutes(t *testing.T) {
	st := newStage(noon)
	little, much := calm(), overload()
	little.good, much.good = nil, nil // it would take long to make up
	st.play(600, little)
	st.play(30, much)
	st.play(25*60*60, little)
	st.play(15, much)
	st.play(45, little)
	h := history(t, st.board)
	if len(h.Databases) != 1 || len(h.Databases[0].Seconds) != 900 || len(h.Databases[0].Minutes) != 1440 {
		t.Fatalf("%d databases, %d seconds, %d minutes", len(h.Databases), len(h.Databases[0].Seconds), len(h.Databases[0].Minutes))
	}
	seconds, minutes := h.Databases[0].Seconds, h.Databases[0].Minutes
	for i := 1; i < len(seconds); i++ {
		if seconds[i][0]-seconds[i-1][0] != 1 {
			t.Fatalf("seconds %v and %v", seconds[i-1][0], seconds[i][0])
		}
	}
	for i := 1; i < len(minutes); i++ {
		if minutes[i][0]-minutes[i-1][0] != 60 {
			t.Fatalf("minutes %v and %v", minutes[i-1][0], minutes[i][0])
		}
	}
	queueOfLow := 7 + len(h.Waits) + 1
	if last := minutes[len(minutes)-1]; last[queueOfLow] < 10 || last[queueOfLow] > 22 || h.States[int(last[1])] == "calm" {
		t.Errorf("a minute in a quarter of which 64 waited: %v", last)
	}
}

func TestEffectOfADecisionIsTold(t *testing.T) {
	st := newStage(noon)
	st.play(20, calm())
	st.decide(event.Event{Kind: event.Limit, Subject: "db.internal:5432", Cause: "growing", From: "12", To: "16"})
	faster := calm()
	faster.good["high"] = 840
	st.play(10, faster)
	text := streamed(t, st.board)
	if !regexp.MustCompile(`"text":"The limit goes from 12 to 16: [^"]*","effect":"work \+[78]\d %, p99 `).MatchString(text) {
		t.Error(text)
	}
}

// streamed is the first that a page is sent.
func streamed(t *testing.T, b *dashboard.Board) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(b.Stream))
	defer s.Close()
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var all strings.Builder
	for p := make([]byte, 4096); !strings.Contains(all.String(), "\n\n"); {
		n, err := answer.Body.Read(p)
		if all.Write(p[:n]); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// TestStatementsThatRunForLongAreAmongTheFirst before they have ended.
func TestStatementsThatRunForLongAreAmongTheFirst(t *testing.T) {
	st := newStage(noon)
	st.play(5, calm())
	for i := range 20 {
		st.at = st.at.Add(time.Second)
		f := st.frame(calm())
		f.Sights[0].Prints = append(f.Sights[0].Prints, diagnosis.Print{Fingerprint: 4711, Named: diagnosis.Named{Called: "select reports"}, Underway: float64(100 * i)})
		st.board.Take(f)
	}
	if text := streamed(t, st.board); !regexp.MustCompile(`"queries":\[{[^}]*"called":"select reports","calls":0,"mean":0,"share":0\.9`).MatchString(text) {
		t.Error(text)
	}
}

// TestPagesAreBounded: so many pages may be open, one more is told so, and who leaves makes room.
func TestPagesAreBounded(t *testing.T) {
	st := newStage(noon)
	st.play(2, calm())
	s := httptest.NewServer(http.HandlerFunc(st.board.Stream))
	defer s.Close()
	open := func() (*http.Response, func()) {
		ctx, stop := context.WithCancel(context.Background())
		r, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return answer, func() { stop(); _ = answer.Body.Close() }
	}
	var leave []func()
	for i := 0; ; i++ {
		answer, end := open()
		leave = append(leave, end)
		if answer.StatusCode == http.StatusServiceUnavailable {
			break
		}
		if i > 100 {
			t.Fatal("a hundred pages are open")
		}
	}
	for _, end := range leave {
		end()
	}
	for end := time.Now().Add(10 * time.Second); ; {
		answer, leave := open()
		leave()
		if answer.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(end) {
			t.Fatal("who leaves makes no room")
		}
	}
}

// TestFilesOfThePage: all of it together is small, nothing in it asks anybody else for anything, and nothing in it could turn a text into markup.
func TestFilesOfThePage(t *testing.T) {
	size := 0
	for path, h := range dashboard.Files() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		size += w.Body.Len()
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if w.Header().Get("Content-Type") == "" {
			t.Errorf("%s has no type", path)
		}
	}
	if size > 150<<10 || size < 10<<10 {
		t.Errorf("the page has %d bytes", size)
	}
	bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\sstyle=|\son[a-z]+=|https?://`)
	files, err := filepath.Glob("page/*")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range bad.FindAllString(string(text), -1) {
			if !strings.Contains(string(text), "http://www.w3.org/2000/svg") || found != "http://" || strings.Count(string(text), "http://") > 1 {
				t.Errorf("%s: %q", name, found)
			}
		}
	}
}

// TestDatabasesThatAreGoneMakeRoom: after any number of moves from one server to another, the one that is there now is drawn.
func TestDatabasesThatAreGoneMakeRoom(t *testing.T) {
	b := dashboard.New(dashboard.Source{})
	for i := range 20 {
		name := fmt.Sprintf("db%d:5432", i)
		b.Take(&witness.Frame{At: time.Unix(int64(1_000_000+i), 0), Sights: []diagnosis.Sight{{Database: "stays:5432"}, {Database: name}}})
		names := map[string]int{}
		for _, d := range b.History().Databases {
			names[d.Name] = len(d.Seconds)
		}
		if names[name] != 1 || names["stays:5432"] != i+1 {
			t.Fatalf("after %d moves: %v", i, names)
		}
	}
}
