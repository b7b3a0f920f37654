package scenario

import (
	"context"
	"strconv"
	"sync"
	"time"

	"pgguard/bench/load"
)

// runGo is our own engine: one goroutine per client.
func runGo(ctx context.Context, e Env, s script, n int, d time.Duration) (result, error) {
	t, took, err := tallyGo(ctx, e, s, n, d)
	if err != nil {
		return result{}, err
	}
	return result{count: t.Useful, took: took, p50: t.Quantile(0.5), p99: t.Quantile(0.99), failed: t.Offered - t.Useful}, nil
}

// goWait is the deadline of a transaction of our own engine; a healthy target never comes near it.
const goWait = 30 * time.Second

// tallyGo logs all clients in, then lets them run for d.
func tallyGo(ctx context.Context, e Env, s script, n int, d time.Duration) (*load.Tally, time.Duration, error) {
	cfg, err := load.ParseURL(e.URL, "steady")
	if err != nil {
		return nil, 0, err
	}
	var conns load.Connections
	clients := make([]*load.Client, n)
	for i := range clients {
		clients[i] = load.NewClient(cfg, &conns)
		defer clients[i].Close()
		if err := clients[i].Connect(ctx, time.Now().Add(goWait)); err != nil {
			return nil, 0, err
		}
	}
	tallies := make([]*load.Tally, n)
	start := time.Now()
	end := start.Add(d)
	var wg sync.WaitGroup
	for i, c := range clients {
		tallies[i] = load.NewTally()
		wg.Go(func() {
			r := load.Rand(e.Seed, uint64(i))
			mine := &speaker{protocol: s.protocol, names: map[string]string{}}
			for ctx.Err() == nil {
				began := time.Now()
				if began.After(end) {
					return
				}
				var err error
				for _, st := range s.steps(r) {
					if err = mine.run(ctx, c, st, began.Add(goWait)); err != nil {
						break
					}
				}
				tallies[i].Note(began, time.Now(), goWait, err)
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	all := load.NewTally()
	for _, t := range tallies {
		all.Merge(t)
	}
	return all, took, ctx.Err()
}

// speaker runs steps by one of pgbench's protocols, for one client.
type speaker struct {
	protocol string
	names    map[string]string // of the client's prepared statements, by text
}

// run runs one step.
func (s *speaker) run(ctx context.Context, c *load.Client, st step, deadline time.Time) error {
	_, err := c.Do(ctx, deadline, func(conn *load.Conn) (int, error) {
		switch s.protocol {
		case "extended":
			return conn.Extended(st.sql, st.args(), deadline)
		case "prepared":
			name, ok := s.names[st.sql]
			if !ok {
				name = "P_" + strconv.Itoa(len(s.names))
				if err := conn.Prepare(name, st.sql, deadline); err != nil {
					return 0, err
				}
				s.names[st.sql] = name
			}
			return conn.Execute(name, st.args(), deadline)
		default:
			return conn.Query(st.text(), deadline)
		}
	})
	if !c.Connected() {
		clear(s.names)
	}
	return err
}
