//go:build pg

package proxy

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStatementTimeoutIsHowLongAClientWaits: a line of a second is not for one whose statements may take a tenth of one, whether he has
// said so by SET or at his login; he is told so at once, and the others wait.
func TestStatementTimeoutIsHowLongAClientWaits(t *testing.T) {
	g := newGuard(t, address(shared), func(c *Config) {
		c.Limit = 1
		c.Pool.Classes[0].Interactive = true
		c.Pool.Classes[0].MaxWait = time.Minute
	})
	stop := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(stop)
	for range 20 {
		p, _ := enter(t, g.addr)
		others.Go(func() {
			defer p.leave()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := strings.Join(p.ask("select pg_sleep(0.05)"), "; "); !strings.HasSuffix(got, "C SELECT 1; Z I") {
					t.Errorf("who has not said how long he waits got %s", got)
				}
			}
		})
	}
	for name, login := range map[string]string{"by SET": "", "at the login": "statement_timeout=100"} {
		var params []string
		if login != "" {
			params = append(params, strings.SplitN(login, "=", 2)...)
		}
		p, _ := enter(t, g.addr, params...)
		if login == "" {
			p.ask("set statement_timeout = '100ms'")
		}
		eventually(t, name+": who would come too late is turned away", func() bool {
			answer := strings.Join(p.ask("select 1"), "; ")
			return strings.Contains(answer, "C53400 ") && strings.Contains(answer, "and may for 100 ms")
		})
		p.leave()
	}
}
