//go:build chrome

package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"pgguard/pool/event"
	"pgguard/proxy/admin"
	"pgguard/proxy/dashboard"
	"pgguard/proxy/diagnosis"
)

// browser opens pages; what they say in their console, and whom they ask, is kept.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu    sync.Mutex
	said  []string // guarded by mu
	asked []string // guarded by mu
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	ctx, end := chromedp.NewContext(context.Background())
	t.Cleanup(end)
	b := &browser{t: t, ctx: ctx}
	b.do(call(network.Enable, network.EnableParams{}))
	err := chromedp.Listen(ctx, func(e any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := e.(type) {
		case *runtime.EventConsoleAPICalled:
			b.said = append(b.said, fmt.Sprint(e.Type, " ", e.Args))
		case *runtime.EventExceptionThrown:
			b.said = append(b.said, fmt.Sprint(e.ExceptionDetails))
		case *network.EventRequestWillBeSent:
			b.asked = append(b.asked, e.Request.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// call is a command of the browser's protocol as something to do.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, command, params)
		return chromedp.Void{}, err
	}
}

// do does things in the page.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// get has the page answer.
func get[T any](b *browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, time.Minute)
	defer stop()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// text is that of an element.
func text(b *browser, id string) string {
	b.t.Helper()
	return get(b, chromedp.Evaluate[string](fmt.Sprintf("document.getElementById(%q).textContent", id)))
}

// awaits waits until something is true of the page.
func (b *browser) awaits(what string) {
	b.t.Helper()
	get(b, chromedp.Poll[bool]("!!("+what+")"))
}

// drawn is true once the page has drawn what it was sent.
const drawn = `document.querySelector('#chart svg path')`

// quiet fails if the page has said something in its console, or asked anybody but its own server.
func (b *browser) quiet(own string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.said {
		b.t.Errorf("the console says %s", text)
	}
	for _, url := range b.asked {
		if !strings.HasPrefix(url, own) && url != "about:blank" {
			b.t.Errorf("%s is asked for", url)
		}
	}
	b.said, b.asked = nil, nil
}

// site serves the page of a board.
func site(t *testing.T, b *dashboard.Board, token string, acts ...admin.Acts) string {
	t.Helper()
	o := admin.Options{
		Ready: func() error { return nil }, State: func() any { return 1 }, Events: func(uint64) any { return 1 }, Verdict: func() any { return 1 }, Incidents: func() any { return 1 },
		Page: dashboard.Files(), History: http.HandlerFunc(b.ServeHistory), Stream: http.HandlerFunc(b.Stream), Metrics: http.NotFoundHandler(), Token: func() string { return token },
	}
	if len(acts) > 0 {
		o.Acts = acts[0]
	}
	s := httptest.NewServer(admin.Handler(o))
	t.Cleanup(s.CloseClientConnections)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s.URL
}

// scenes are what the page is looked at in.
var scenes = []struct {
	name, sentence string
	load           func() load
	after          int // seconds that it has lasted
}{
	{"calm", "Nothing is wrong", calm, 200},
	{"overload", "refused within", overload, 120},
	{"stall", "behind alter orders (pid 20417), which waits for select orders of metabase report (pid 20111)", stall, 60},
	{"down", "has not answered since", databaseDown, 40},
	{"strange", "statements wait for locks of <img src=x onerror=", strange, 20},
}

// TestPageInABrowser: in every scene, light and dark, on a phone and on a wall: the page says the sentence, shows names as text, is not wider than the screen, asks nobody
// else for anything and complains of nothing. SHOTS=DIR keeps pictures.
func TestPageInABrowser(t *testing.T) {
	b := newBrowser(t)
	shots := os.Getenv("SHOTS")
	for _, scene := range scenes {
		st := newStage(time.Now().Add(-15 * time.Minute))
		st.play(900-scene.after-180, calm())
		st.decide(event.Event{Kind: event.Limit, Subject: "db.internal:5432", Cause: "growing", From: "10", To: "12", Evidence: event.Of(event.Number{Name: "slowdown", Value: .3})})
		st.play(60, overload())
		st.decide(event.Event{Kind: event.Class, Subject: "low", Cause: "queue_delay", From: "overloaded", To: "calm"})
		st.play(120, calm())
		st.play(scene.after, scene.load())
		url := site(t, st.board, "")
		for _, width := range []int64{360, 1600} {
			for _, theme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s %d %s", scene.name, width, theme), func(t *testing.T) {
					b.t = t
					b.do(chromedp.EmulateViewport(width, 900),
						call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}),
						chromedp.Navigate(url))
					b.awaits(drawn)
					sentence := text(b, "sentence")
					wide := get(b, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`))
					broken := get(b, chromedp.Evaluate[bool](`window.broken === 1 || document.querySelector('main img, main script') !== null`))
					if !strings.Contains(sentence, scene.sentence) || wide || broken {
						t.Errorf("the sentence is %q; wider than the screen: %v; a name became markup: %v", sentence, wide, broken)
					}
					b.quiet(url)
					if shots != "" {
						shot := get(b, chromedp.FullScreenshot(100))
						if err := os.WriteFile(filepath.Join(shots, fmt.Sprintf("%s-%d-%s.png", scene.name, width, theme)), shot, 0o644); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// TestPageByKeyboard: the chart is reached and read with keys alone, and the range is changed.
func TestPageByKeyboard(t *testing.T) {
	st := newStage(time.Now().Add(-15 * time.Minute))
	st.play(800, calm())
	st.play(100, overload())
	b := newBrowser(t)
	b.do(chromedp.Navigate(site(t, st.board, "")))
	b.awaits(drawn)
	b.do(chromedp.Focus(chromedp.CSS("#chart")))
	last := text(b, "readout")
	b.do(chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowLeft))
	before := text(b, "readout")
	b.do(chromedp.Focus(chromedp.CSS("[data-range=minutes]")), chromedp.KeyEvent(kb.Enter))
	minutes := text(b, "readout")
	if last == "" || before == last || minutes == "" {
		t.Errorf("now %q, a second before %q, in minutes %q", last, before, minutes)
	}
}

// TestPageAsksForTheToken: with a token the page is there, shows nothing before it knows it, and says when it is wrong.
func TestPageAsksForTheToken(t *testing.T) {
	st := newStage(time.Now().Add(-time.Minute))
	st.play(60, calm())
	b := newBrowser(t)
	b.do(chromedp.Navigate(site(t, st.board, "s3cret")), chromedp.WaitVisible(chromedp.CSS("#token")), chromedp.SendKeys(chromedp.CSS("#token"), "guess\r"))
	b.awaits(`document.getElementById('wrong').textContent`)
	wrong, early := text(b, "wrong"), text(b, "sentence")
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), "s3cret\r"))
	b.awaits(drawn)
	sentence := text(b, "sentence")
	if wrong == "" || strings.Contains(early, "Nothing is wrong") || !strings.Contains(sentence, "Nothing is wrong") {
		t.Errorf("%q, %q, %q", wrong, early, sentence)
	}
}

// TestPageDoesWhatIsConfirmed: who knows the token pauses clients, lets them go on, changes the mode, and ends a culprit, after a question; what is not confirmed is not done, and who was
// not asked for a token has no buttons.
func TestPageDoesWhatIsConfirmed(t *testing.T) {
	st := newStage(time.Now().Add(-time.Minute))
	st.play(30, calm())
	st.play(30, stall())
	did := make(chan string, 8)
	acts := admin.Acts{
		Pause:  func(context.Context) error { st.paused.Store(true); did <- "pause"; return nil },
		Resume: func() error { st.paused.Store(false); did <- "resume"; return nil },
		Enforce: func(enforce bool) error {
			st.observe.Store(!enforce)
			did <- fmt.Sprint("enforce ", enforce)
			return nil
		},
		Signal: func(_ context.Context, pid int, end bool) error {
			did <- fmt.Sprint("signal ", pid, " ", end)
			return nil
		},
	}
	b := newBrowser(t)
	b.do(chromedp.Navigate(site(t, st.board, "", acts)))
	b.awaits(drawn)
	if !get(b, chromedp.Evaluate[bool](`document.getElementById('acts').hidden && document.querySelector('#tree button') === null`)) {
		t.Error("there are buttons without a token")
	}
	url := site(t, st.board, "s3cret", acts)
	b.do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#token")), chromedp.SendKeys(chromedp.CSS("#token"), "s3cret\r"))
	b.awaits(drawn)
	click := func(what string, answer string) {
		t.Helper()
		b.do(chromedp.WaitVisible(chromedp.CSS(what)), chromedp.Click(chromedp.CSS(what)), chromedp.WaitVisible(chromedp.CSS("#"+answer)), chromedp.Click(chromedp.CSS("#"+answer)))
	}
	done := func(want, says string) {
		t.Helper()
		b.awaits(fmt.Sprintf(`document.getElementById('done').textContent.includes(%q)`, says))
		if got := <-did; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	click("#pause", "no")
	click("#pause", "yes")
	done("pause", "Done: paused")
	st.play(1, stall())
	b.awaits(`document.getElementById('pause').textContent === 'Let clients go on'`)
	click("#pause", "yes")
	done("resume", "Done: resumed")
	click("#mode", "yes")
	done("enforce false", "Done: mode is observe")
	st.play(1, stall())
	b.awaits(`document.getElementById('mode').textContent === 'Enforce'`)
	click("#mode", "yes")
	done("enforce true", "Done: mode is enforce")
	click("#tree .node .node button", "yes")
	done("signal 20417 false", "Done: cancelled")
	click("#tree > .node > div > button", "yes")
	done("signal 20111 true", "Done: ended")
	if len(did) > 0 {
		t.Error("more was done: ", <-did)
	}
	b.quiet(url[:len("http://127.0.0.1:")])
}

// TestPageIsQuickAndStaysSmall: the first sentence is there within 300 ms of the page's first byte, and an hour of seconds adds hardly any memory.
func TestPageIsQuickAndStaysSmall(t *testing.T) {
	st := newStage(time.Now().Add(-15 * time.Minute))
	st.play(900, overload())
	b := newBrowser(t)
	b.do(chromedp.Navigate(site(t, st.board, "")))
	b.awaits(`document.getElementById('state').textContent !== '…'`)
	took := get(b, chromedp.Evaluate[float64](`performance.getEntriesByName('said')[0].startTime`))
	if took > 3000 { // a machine ten times slower than the one that 300 ms are for
		t.Errorf("the first sentence took %.0f ms", took)
	}
	t.Logf("the first sentence took %.0f ms", took)
	elements := func() float64 { return get(b, chromedp.Evaluate[float64](`document.querySelectorAll('*').length`)) }
	before := elements()
	for range 60 {
		st.play(1, overload())
	}
	b.awaits(fmt.Sprintf(`document.getElementById('readout').textContent.includes('%s')`, st.at.Local().Format("15:04:05")))
	if after := elements(); after > before*1.2+50 {
		t.Errorf("the page had %.0f elements, and %.0f after a minute", before, after)
	}
}

func stall() load {
	l := calm()
	l.sight.Running, l.sight.Lent, l.sight.Waits = 26, 27, diagnosis.Waits{CPU: 1, Lock: 25}
	l.sight.Foreign = 2
	l.sight.Classes = []diagnosis.Class{{Name: "high", Waiting: 9, Oldest: 900 * time.Millisecond}, {Name: "low", Waiting: 12, Oldest: 2 * time.Second}}
	l.sight.Crowds = crowds(21, 2)
	l.sight.Holder = &diagnosis.Holder{PID: 20111, Application: "metabase report", Client: "10.0.9.4", Held: 94 * time.Second, Named: diagnosis.Named{Called: "select orders"}, Blocks: 26,
		Through: &diagnosis.Holder{PID: 20417, Application: "psql", Client: "10.0.1.2", Held: 20 * time.Second, Named: diagnosis.Named{Called: "alter orders"}, Blocks: 25}}
	l.good, l.took = map[string]float64{"high": 30, "low": 2}, map[string]float64{"high": 1.5, "low": 4}
	return l
}

func databaseDown() load {
	l := calm()
	l.sight = diagnosis.Sight{Cap: 80, Limit: 12, Breaker: "open", Reached: true, Error: "connect: dial tcp 10.0.0.5:5432: connect: connection refused",
		Classes: l.sight.Classes, Crowds: crowds(0, 0)}
	l.good, l.refused = map[string]float64{"high": 0, "low": 0}, map[string]uint64{"high": 300, "low": 40}
	return l
}

// strange is a stall whose holder's names are those of hostile.
func strange() load {
	l := stall()
	l.sight.Holder.Application, l.sight.Holder.Called = hostile, "select "+hostile+", job="+hostile
	l.sight.Holder.Through = nil
	return l
}
