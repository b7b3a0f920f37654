package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// loginClients log in side by side in the login part.
const loginClients = 8

// logins measures how many clients a second can connect, ask one thing and leave.
func (s Steady) logins(ctx context.Context, e Env, r *report.Run) error {
	cfg, err := load.ParseURL(e.URL, "logins")
	if err != nil {
		return err
	}
	var conns load.Connections
	tallies := make([]*load.Tally, loginClients)
	start := time.Now()
	end := start.Add(s.Logins)
	var wg sync.WaitGroup
	for i := range tallies {
		tallies[i] = load.NewTally()
		wg.Go(func() {
			for ctx.Err() == nil && time.Now().Before(end) {
				began := time.Now()
				err := loginOnce(ctx, cfg, &conns, began.Add(goWait))
				tallies[i].Note(began, time.Now(), goWait, err)
			}
		})
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	all := load.NewTally()
	for _, t := range tallies {
		all.Merge(t)
	}
	r.Add("logins", "1/s", float64(all.Useful)/took)
	r.Add("logins: p99", "ms", ms(all.Quantile(0.99)))
	if failed := all.Offered - all.Useful; failed > 0 {
		r.Add("logins: failed", "", float64(failed))
		r.Errors = map[string]int64{}
		for label, n := range all.Errors {
			r.Errors["logins: "+label] = n
		}
	}
	return ctx.Err()
}

// loginOnce connects, asks one thing and leaves politely. Its error is a *load.Error.
func loginOnce(ctx context.Context, cfg *pgconn.Config, conns *load.Connections, deadline time.Time) error {
	c := load.NewClient(cfg, conns)
	defer c.Quit()
	_, err := c.Exec(ctx, "SELECT 1", deadline)
	return err
}

// idleParallel is how many of the idle clients log in at the same time.
const idleParallel = 50

// idle measures the proxy's memory per client that has logged in and does nothing. The clients are bare sockets, so that
// thousands of them weigh nothing here.
func (s Steady) idle(ctx context.Context, e Env, r *report.Run) error {
	if len(e.PIDs) == 0 {
		return nil
	}
	cfg, err := load.ParseURL(e.URL, "idle")
	if err != nil {
		return err
	}
	before, err := load.ReadProcess(e.PIDs...)
	if err != nil {
		return err
	}
	conns, err := openIdle(ctx, cfg, s.Idle)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	if err != nil {
		return fmt.Errorf("after %d of %d clients: %w", len(conns), s.Idle, err)
	}
	after, err := s.settled(ctx, e)
	if err != nil {
		return err
	}
	r.Add("memory without clients", "MiB", mib(before))
	r.Add(fmt.Sprintf("memory with %d idle clients", s.Idle), "MiB", mib(after))
	r.Add("memory per idle client", "KiB", (mib(after)-mib(before))*1024/float64(max(len(conns), 1)))
	return nil
}

// openIdle logs n clients in. It returns those that succeeded, also with an error; the caller closes them.
func openIdle(ctx context.Context, cfg *pgconn.Config, n int) ([]net.Conn, error) {
	startup := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{
		"user": cfg.User, "database": cfg.Database, "application_name": "idle",
	}}
	hello, err := startup.Encode(nil)
	if err != nil {
		return nil, fmt.Errorf("build the startup message: %w", err)
	}
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	var (
		mu    sync.Mutex
		conns []net.Conn
		first error
		wg    sync.WaitGroup
	)
	turns := make(chan struct{}, n)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	for range idleParallel {
		wg.Go(func() {
			for range turns {
				c, err := bareLogin(ctx, address, hello)
				mu.Lock()
				if err == nil {
					conns = append(conns, c)
				} else if first == nil {
					first = err
				}
				stop := first != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	return conns, first
}

// bareLogin connects, sends the startup message and reads until ReadyForQuery. It knows no password.
func bareLogin(ctx context.Context, address string, hello []byte) (net.Conn, error) {
	d := net.Dialer{Timeout: goWait}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	_ = c.SetDeadline(time.Now().Add(goWait)) // a fresh socket takes a deadline
	if _, err := c.Write(hello); err != nil {
		c.Close()
		return nil, fmt.Errorf("log in: %w", err)
	}
	if err := awaitReady(c); err != nil {
		c.Close()
		return nil, fmt.Errorf("log in: %w", err)
	}
	return c, nil
}

// awaitReady reads messages until ReadyForQuery.
func awaitReady(c net.Conn) error {
	front := pgproto3.NewFrontend(c, c)
	for {
		m, err := front.Receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			return nil
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		case *pgproto3.AuthenticationOk, *pgproto3.ParameterStatus, *pgproto3.BackendKeyData, *pgproto3.NoticeResponse:
		default:
			return errors.New("the idle part can only log in without a password")
		}
	}
}
