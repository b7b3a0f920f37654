//go:build pg

package witness_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"pgguard/proxy"
	"pgguard/proxy/pgtest"
)

// TestStatementsThatHaveNotEndedAreSeen for as long as they have run, and are counted once.
func TestStatementsThatHaveNotEndedAreSeen(t *testing.T) {
	sc := open(t, pgtest.Options{}, nil)
	c := sc.enter("nightly")
	sc.run(c, "create table reports as select 1 as id")
	var work sync.WaitGroup
	work.Go(func() { _, _ = c.Exec(context.Background(), "select count(*), pg_sleep(3) from reports") })
	reports := func(right func(p *proxy.Print) bool) (last proxy.Print) {
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			for _, p := range sc.server.Sights()[0].Prints {
				if p.Called == "select reports" {
					if last = p; right(&p) {
						return p
					}
				}
			}
		}
		t.Errorf("at last it is %+v", last)
		return last
	}
	first := reports(func(p *proxy.Print) bool { return p.Underway > 0 })
	later := reports(func(p *proxy.Print) bool { return p.Underway > first.Underway+time.Second })
	work.Wait()
	if p := reports(func(p *proxy.Print) bool { return p.Calls == 1 }); p.Underway != 0 || p.Took < later.Underway {
		t.Errorf("when it has ended it is %+v, before %+v", p, later)
	}
}
