package feature

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/bench/load"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// neighbours is how many clients work beside a feature: twice the servers, so that there is always one who waits for
// the server that a client has just given back.
const neighbours = 2 * Servers

// restless is after how many transactions a neighbour logs in anew: a pooler may give a new client what an old one is
// spared.
const restless = 30

// lookSQL is what a neighbour sees of its session. The table is without its schema, and so found by search_path.
const lookSQL = `SELECT concat_ws(' ', 'work_mem='||current_setting('work_mem'), 'search_path='||current_setting('search_path'),
 'statement_timeout='||current_setting('statement_timeout'), 'lock_timeout='||current_setting('lock_timeout'),
 'timezone='||current_setting('timezone'), 'datestyle='||current_setting('datestyle'), 'client_encoding='||current_setting('client_encoding'),
 'isolation='||current_setting('default_transaction_isolation'), 'user='||current_user, 'session_user='||session_user, 'rows='||count(*)) FROM feature_rows`

// street is the neighbours at work until leave.
type street struct {
	cfg    *pgconn.Config
	want   string
	cancel context.CancelFunc
	wg     sync.WaitGroup
	done   atomic.Int64 // transactions

	mu    sync.Mutex
	wrong string // the first thing a neighbour should not have seen; guarded by mu
}

// moveIn starts the neighbours; want is what lookSQL answers on an untouched server.
func moveIn(ctx context.Context, cfg *pgconn.Config, n int, want string) *street {
	ctx, cancel := context.WithCancel(ctx)
	s := &street{cfg: cfg, want: want, cancel: cancel}
	for range n {
		s.wg.Go(func() { s.live(ctx) })
	}
	return s
}

// live works and logs in anew, until ctx ends or something is wrong.
func (s *street) live(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := login(s.cfg, pgproto3.ProtocolVersion30, nil)
		for i := 0; err == nil && i < restless && ctx.Err() == nil; i++ {
			err = s.work(c)
		}
		if c != nil {
			c.quit()
		}
		if err != nil {
			s.report(reason(err))
			return
		}
	}
}

// work is one transaction: it holds its server over several round trips, and looks around.
func (s *street) work(c *conn) error {
	for _, sql := range []string{"BEGIN", lookSQL, "SELECT pg_sleep(0.001)", "COMMIT"} {
		if err := c.send(query(sql)); err != nil {
			return err
		}
		a, err := c.receive()
		if err != nil {
			return err
		}
		if a.err != nil {
			return fmt.Errorf("%s", wrong(a.err))
		}
		if sql == lookSQL && a.value() != s.want {
			return fmt.Errorf("it sees %s", difference(s.want, a.value()))
		}
	}
	s.done.Add(1)
	return nil
}

func (s *street) report(wrong string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong == "" {
		s.wrong = wrong
	}
}

// awaitWork waits until the neighbours have done some transactions, or one of them has something to say.
func (s *street) awaitWork(ctx context.Context) {
	for end := time.Now().Add(answerWait); ctx.Err() == nil && s.done.Load() < neighbours && s.trouble() == "" && time.Now().Before(end); {
		load.Sleep(ctx, time.Millisecond)
	}
}

// trouble is the first thing that was wrong, "" so far.
func (s *street) trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong
}

// leave ends the neighbours, waits for them and returns what was wrong.
func (s *street) leave() string {
	s.cancel()
	s.wg.Wait()
	return s.trouble()
}

// difference names the first word of got that is not in want.
func difference(want, got string) string {
	for i, g := range strings.Fields(got) {
		if w := strings.Fields(want); i >= len(w) || w[i] != g {
			return g
		}
	}
	return short(got)
}
