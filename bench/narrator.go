package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"pgguard/bench/scenario"
)

// listenEvery is how often the guard is asked: it says nothing new sooner.
const listenEvery = time.Second

// narrator shows how far a story is, and at the end of each phase what the guard said was wrong in it. Without an address it only shows.
type narrator struct {
	lines *progress
	web   string // the guard's HTTP address; empty: it has none
	phase string // of the story, as its lines begin

	mu   sync.Mutex
	said sentence // guarded by mu: the last of this phase in which something was wrong, else the last
}

// sentence is what the guard says.
type sentence struct {
	State string `json:"state"`
	Text  string `json:"sentence"`
}

// healthy is true if it says that nothing is wrong.
func (s sentence) healthy() bool { return s.State == "" || s.State == "calm" || s.State == "busy" }

// listen asks the guard until ctx ends.
func (n *narrator) listen(ctx context.Context) {
	t := time.NewTicker(listenEvery)
	defer t.Stop()
	for n.web != "" {
		n.hear(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// hear asks once. An answer that does not come is none.
func (n *narrator) hear(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, listenEvery)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.web+"/api/v1/verdict", nil)
	if err != nil {
		return
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	var s sentence
	if json.NewDecoder(answer.Body).Decode(&s) != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !s.healthy() || n.said.healthy() {
		n.said = s
	}
}

// show shows how far the story is. It is called by one goroutine.
func (n *narrator) show(s scenario.Progress) {
	phase, _, _ := strings.Cut(s.Text, " ")
	if phase != n.phase {
		n.tell()
		n.phase = phase
	}
	n.lines.show(s)
}

// tell tells what was said in the phase that ends.
func (n *narrator) tell() {
	n.mu.Lock()
	said := n.said
	n.said = sentence{}
	n.mu.Unlock()
	if n.phase != "" && said.Text != "" {
		n.lines.say(fmt.Sprintf("%s  %s: %q", n.lines.name, n.phase, said.Text))
	}
}

// end tells of the last phase, and clears the line.
func (n *narrator) end() {
	n.tell()
	n.lines.end()
}
