package admin

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// MaxConns is the most connections that are open at once: a few scrapers and a person or two, who leave the rest of the file
// descriptors to clients and servers. One more takes the place of the one that has done nothing for longest.
const MaxConns = 32

// conns are the open connections of an HTTP server. Any goroutine may use it.
type conns struct {
	mu  sync.Mutex
	all map[net.Conn]*list.Element // guarded by mu: its place in quiet or busy; nil: it has been closed, and its end is not told yet
	// guarded by mu, by the time of the last change, the oldest first
	quiet, busy list.List
}

// changed is the http.Server's ConnState.
func (c *conns) changed(nc net.Conn, to http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, known := c.all[nc]
	c.remove(e)
	ends := to == http.StateClosed || to == http.StateHijacked
	switch {
	case ends:
		delete(c.all, nc)
	case known && e == nil: // what it still reports takes nobody's place
	case to == http.StateActive:
		c.all[nc] = c.busy.PushBack(nc)
	default:
		c.all[nc] = c.quiet.PushBack(nc)
	}
	for c.quiet.Len()+c.busy.Len() > MaxConns {
		e := c.quiet.Front()
		if e == nil || e.Value == nc {
			e = c.busy.Front()
		}
		c.remove(e)
		out := e.Value.(net.Conn)
		c.all[out] = nil
		_ = out.Close()
	}
}

// remove takes a connection out of the list that it is in; nil is in none.
func (c *conns) remove(e *list.Element) {
	if e != nil {
		c.quiet.Remove(e)
		c.busy.Remove(e)
	}
}
