package dashboard

import (
	"encoding/json"
	"net/http"
	"time"
)

// maxViewers is how many pages are open at once at most; the connections of the pages are few, and scrapers need some.
const maxViewers = 12

// writeLimit is how long a page may take to read what it is sent.
const writeLimit = 10 * time.Second

// Stream sends what the page shows, each second, as server-sent events, until the page is closed.
func (b *Board) Stream(w http.ResponseWriter, r *http.Request) {
	if !b.enter() {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer b.leave()
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		next := b.awaits()
		text, err := b.now()
		if err != nil {
			return // the state cannot be written as JSON; it will be looked at again by the page
		}
		if text != nil {
			if out.SetWriteDeadline(time.Now().Add(writeLimit)) != nil {
				return
			}
			if _, err := w.Write([]byte("data: " + string(text) + "\n\n")); err != nil || out.Flush() != nil {
				return
			}
		}
		select {
		case <-next:
		case <-r.Context().Done():
			return
		}
	}
}

// ServeHistory answers what is kept, in one line.
func (b *Board) ServeHistory(w http.ResponseWriter, _ *http.Request) {
	text, err := json.Marshal(b.History())
	if err != nil {
		http.Error(w, "the history cannot be written as JSON: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text) // who asked may have gone
}

// awaits is closed when there is another frame.
func (b *Board) awaits() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

// enter counts a page; false: there are too many.
func (b *Board) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.viewers == maxViewers {
		return false
	}
	b.viewers++
	return true
}

func (b *Board) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.viewers--
}
