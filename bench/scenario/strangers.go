package scenario

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"

	"github.com/jackc/pgx/v5/pgproto3"
)

// strangers are connections that do not log in, each kind from an address of its own of this machine's (127.0.0.2 and on, which Linux has).
type strangers struct {
	Siege
	env     Env
	address string
	hello   []byte // a start-up packet of the user that is guessed at

	mu             sync.Mutex
	conns          []net.Conn // guarded by mu: of the first two kinds
	opened, closed int        // guarded by mu: how many there were, and how many the target closed

	guessed, refused, dropped atomic.Int64 // logins, those that were told that they are wrong, those that were closed without a word
	memory                    float64      // MiB, the most
}

func newStrangers(s Siege, e Env) (*strangers, error) {
	cfg, err := load.ParseURL(e.URL, "stranger")
	if err != nil {
		return nil, err
	}
	hello, err := (&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{
		"user": cfg.User, "database": cfg.Database,
	}}).Encode(nil)
	return &strangers{Siege: s, env: e, address: net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))), hello: hello}, err
}

// come opens the connections that say nothing, and those that say half of what they must.
func (s *strangers) come(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.open(ctx, "127.0.0.2", s.Open, nil) })
	wg.Go(func() { s.open(ctx, "127.0.0.3", s.Half, s.hello[:len(s.hello)/2]) })
	wg.Wait()
	return nil
}

// besiege does the rest until ctx ends, and closes all connections.
func (s *strangers) besiege(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.drip(ctx, "127.0.0.4") })
	wg.Go(func() { s.guessing(ctx, "127.0.0.5") })
	wg.Go(func() { s.memory = peakMemory(ctx, s.env.PIDs) })
	wg.Wait()
	s.leave()
	return nil
}

// leave closes the connections, and counts those that the target has closed before.
func (s *strangers) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			s.closed++
		}
		c.Close()
	}
	s.conns = nil
}

// dial connects from an address.
func (s *strangers) dial(ctx context.Context, from string) (net.Conn, error) {
	d := net.Dialer{Timeout: goWait, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return d.DialContext(ctx, "tcp", s.address)
}

// openParallel is how many connections of a kind are opened at the same time.
const openParallel = 4

// open opens n connections that say this and no more.
func (s *strangers) open(ctx context.Context, from string, n int, says []byte) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, n)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	for range openParallel {
		wg.Go(func() {
			for range turns {
				c, err := s.dial(ctx, from)
				if err != nil {
					continue
				}
				_, _ = c.Write(says)
				s.mu.Lock()
				s.conns = append(s.conns, c)
				s.opened++
				s.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// drip says a byte a second, and comes back when it is closed.
func (s *strangers) drip(ctx context.Context, from string) {
	for load.Sleep(ctx, time.Second) {
		c, err := s.dial(ctx, from)
		if err != nil {
			continue
		}
		for i := range s.hello {
			if _, err := c.Write(s.hello[i : i+1]); err != nil || !load.Sleep(ctx, time.Second) {
				break
			}
		}
		c.Close()
	}
}

// mostGuesses is how many guesses may be under way: more than are, where each is answered within three seconds.
const mostGuesses = 2000

// guessing tries wrong passwords at a rate.
func (s *strangers) guessing(ctx context.Context, from string) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, mostGuesses)
	load.Open(ctx, time.Now(), s.Guesses, load.Rand(s.env.Seed, streams*streams), func(time.Time) {
		select {
		case turns <- struct{}{}:
		default:
			return
		}
		wg.Go(func() {
			defer func() { <-turns }()
			s.guess(ctx, from)
		})
	})
	wg.Wait()
}

// guess tries one. Its proof is made up, which costs the generator nothing.
func (s *strangers) guess(ctx context.Context, from string) {
	c, err := s.dial(ctx, from)
	if err != nil {
		return
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	s.guessed.Add(1)
	front := pgproto3.NewFrontend(c, c)
	_, _ = c.Write(s.hello)
	for {
		m, err := front.Receive()
		if err != nil {
			if ctx.Err() == nil {
				s.dropped.Add(1)
			}
			return
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationSASL:
			front.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=guess")})
		case *pgproto3.AuthenticationSASLContinue:
			nonce, _, _ := strings.Cut(string(m.Data), ",")
			front.Send(&pgproto3.SASLResponse{Data: []byte("c=biws," + nonce + ",p=" + base64.StdEncoding.EncodeToString(make([]byte, 32)))})
		case *pgproto3.ErrorResponse:
			s.refused.Add(1)
			return
		case *pgproto3.ReadyForQuery:
			return // it was let in
		}
		_ = front.Flush()
	}
}

// report adds what became of them.
func (s *strangers) report(r *report.Run, length time.Duration) {
	r.Add("beside: strangers connected", "", float64(s.opened))
	r.Add("beside: strangers closed by the target", "", float64(s.closed))
	r.Add("beside: guesses", "1/s", float64(s.guessed.Load())/length.Seconds())
	r.Add("beside: guesses refused", "1/s", float64(s.refused.Load())/length.Seconds())
	r.Add("beside: guesses closed without a word", "1/s", float64(s.dropped.Load())/length.Seconds())
	if s.memory > 0 {
		r.Add("beside: proxy memory, most", "MiB", s.memory)
	}
}
