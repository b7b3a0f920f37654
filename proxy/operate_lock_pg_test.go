//go:build pg

package proxy

import (
	"runtime"
	"strings"
	"testing"
)

// TestKillWaitsForASessionWithoutTheServersLock: while it waits for a client whose lock somebody holds, others come and go.
func TestKillWaitsForASessionWithoutTheServersLock(t *testing.T) {
	for name, set := range map[string]func(*Server) map[*session]struct{}{
		"entering": func(srv *Server) map[*session]struct{} { return srv.greeted },
		"in":       func(srv *Server) map[*session]struct{} { return srv.entered },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, address(shared), nil)
			c := g.call(t)
			c.want(t, c.query, "select 1", "", 'I')
			s := g.all()[0]
			g.mu.Lock()
			of := set(g.Server)
			_, was := of[s]
			of[s] = struct{}{}
			g.mu.Unlock()
			s.mu.Lock()
			killed := make(chan error, 1)
			go func() { killed <- g.Kill("postgres") }()
			eventually(t, "waiting for the client's lock", func() bool {
				all := make([]byte, 1<<20)
				return strings.Contains(string(all[:runtime.Stack(all, true)]), "(*session).end(")
			})
			free := g.mu.TryLock()
			if free {
				if !was {
					delete(of, s)
				}
				g.mu.Unlock()
			}
			s.mu.Unlock()
			if !free {
				t.Error("it holds the server's lock meanwhile")
			}
			if err := <-killed; err != nil {
				t.Error(err)
			}
			eventually(t, "gone", func() bool { return g.clients() == 0 })
			if !free {
				g.mu.Lock()
				delete(of, s)
				g.mu.Unlock()
			}
		})
	}
}
