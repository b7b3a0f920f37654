package scenario

import (
	"sync"

	"pgguard/bench/load"
)

// webPool is the web's connection pool as Rails keeps it: the connection used last is used next, so that it logs in
// only as many as it needs at once. Any goroutine may use it.
type webPool struct {
	mu   sync.Mutex
	idle []*load.Client // guarded by mu
}

// take returns the client used last. There is one, because as many goroutines share the pool as it has clients.
func (w *webPool) take() *load.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.idle) - 1
	c := w.idle[last]
	w.idle = w.idle[:last]
	return c
}

// give puts a client back: on top when it has its connection, at the bottom when it would have to log in.
func (w *webPool) give(c *load.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Connected() {
		w.idle = append(w.idle, c)
		return
	}
	w.idle = append([]*load.Client{c}, w.idle...)
}

// close closes the sockets of all idle clients.
func (w *webPool) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.idle {
		c.Close()
	}
}
