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
	all map[net.Conn]*list.Element // guarded by mu: its place in quiet or busy
	// guarded by mu, by the time of the last change, the oldest first
	quiet, busy list.List
}

// changed is the http.Server's ConnState.
func (c *conns) changed(nc net.Conn, to http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.all[nc]; e != nil {
		c.quiet.Remove(e)
		c.busy.Remove(e) // it is in one of them
		delete(c.all, nc)
	}
	switch to {
	case http.StateNew, http.StateIdle:
		c.all[nc] = c.quiet.PushBack(nc)
	case http.StateActive:
		c.all[nc] = c.busy.PushBack(nc)
	default:
		return
	}
	for len(c.all) > MaxConns {
		e := c.quiet.Front()
		if e == nil || e.Value == nc {
			e = c.busy.Front()
		}
		out := e.Value.(net.Conn)
		c.quiet.Remove(e)
		c.busy.Remove(e)
		delete(c.all, out)
		_ = out.Close()
	}
}
