package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Conn is one logged-in connection. Login is pgconn's; the exchange is its own, because
// pgconn sends a cancel request when a deadline passes and the clients modelled here only close their socket.
// One goroutine uses it at a time; Close may come from any.
type Conn struct {
	net    net.Conn
	front  *pgproto3.Frontend
	status byte // 'I', 'T' or 'E', as in the last ReadyForQuery
	unhook func() bool
}

// ParseURL returns the settings for Dial. An empty application name leaves the URL's.
// The connect timeout of the URL is ignored: the caller's deadline decides.
func ParseURL(url, application string) (*pgconn.Config, error) {
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the connection URL: %w", err)
	}
	cfg.ConnectTimeout = 0
	if application != "" {
		cfg.RuntimeParams["application_name"] = application
	}
	return cfg, nil
}

// oneHost returns the settings for the i-th host of cfg, counted round and round. What cfg would fall back to on that host,
// as to a connection without TLS, is kept.
func oneHost(cfg *pgconn.Config, i int) *pgconn.Config {
	if len(cfg.Fallbacks) == 0 { // the usual case, on the way of every login that is measured
		return cfg
	}
	type host struct {
		name string
		port uint16
	}
	var hosts []host
	ways := map[host][]*pgconn.FallbackConfig{}
	for _, way := range append([]*pgconn.FallbackConfig{{Host: cfg.Host, Port: cfg.Port, TLSConfig: cfg.TLSConfig}}, cfg.Fallbacks...) {
		h := host{way.Host, way.Port}
		if ways[h] == nil {
			hosts = append(hosts, h)
		}
		ways[h] = append(ways[h], way)
	}
	if len(hosts) == 1 {
		return cfg
	}
	own := ways[hosts[i%len(hosts)]]
	cfg = cfg.Copy()
	cfg.Host, cfg.Port, cfg.TLSConfig, cfg.Fallbacks = own[0].Host, own[0].Port, own[0].TLSConfig, own[1:]
	return cfg
}

// Dial connects and logs in by the deadline. When ctx ends the socket is closed, whatever it is doing, also later.
func Dial(ctx context.Context, cfg *pgconn.Config, deadline time.Time) (*Conn, error) {
	dctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	pc, err := pgconn.ConnectConfig(dctx, cfg)
	if err != nil {
		return nil, err
	}
	h, err := pc.Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	c := &Conn{net: h.Conn, front: h.Frontend, status: h.TxStatus}
	c.unhook = context.AfterFunc(ctx, func() { c.net.Close() })
	return c, nil
}

// InTransaction reports whether the server said, with its last answer, that a transaction is open or has failed.
func (c *Conn) InTransaction() bool { return c.status != 'I' }

// Query runs the text and returns the number of rows. An ERROR comes back as *pgconn.PgError after ReadyForQuery, and
// the connection can be used on. After any other error, FATAL included, the connection is of no use.
func (c *Conn) Query(sql string, deadline time.Time) (rows int, err error) {
	return c.exchange(deadline, &pgproto3.Query{String: sql})
}

// Prepare makes a named statement. Its error is as Query's.
func (c *Conn) Prepare(name, sql string, deadline time.Time) error {
	_, err := c.exchange(deadline, &pgproto3.Parse{Name: name, Query: sql}, &pgproto3.Sync{})
	return err
}

// Execute runs a named statement with arguments as text, the way libpq does. Its result is as Query's.
func (c *Conn) Execute(name string, args []string, deadline time.Time) (rows int, err error) {
	return c.exchange(deadline, bind(name, args), &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
}

// Extended runs the text as an unnamed statement with arguments as text, the way libpq does. Its result is as Query's.
func (c *Conn) Extended(sql string, args []string, deadline time.Time) (rows int, err error) {
	return c.exchange(deadline, &pgproto3.Parse{Query: sql}, bind("", args), &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
}

func bind(name string, args []string) *pgproto3.Bind {
	m := &pgproto3.Bind{PreparedStatement: name, Parameters: make([][]byte, len(args))}
	for i, a := range args {
		m.Parameters[i] = []byte(a)
	}
	return m
}

// Pipeline sends the messages, which end with Sync, and reads up to ReadyForQuery. Its result is as Query's.
func (c *Conn) Pipeline(messages []pgproto3.FrontendMessage, deadline time.Time) (rows int, err error) {
	return c.exchange(deadline, messages...)
}

// exchange sends messages that have one ReadyForQuery as their end.
func (c *Conn) exchange(deadline time.Time, messages ...pgproto3.FrontendMessage) (rows int, err error) {
	if err := c.net.SetDeadline(deadline); err != nil {
		return 0, err
	}
	for _, m := range messages {
		c.front.Send(m)
	}
	if err := c.front.Flush(); err != nil {
		return 0, err
	}
	var answer error
	for {
		m, err := c.front.Receive()
		if err != nil {
			// A FATAL that was already read says more than the end of the stream after it.
			if answer != nil {
				return rows, answer
			}
			return rows, err
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			rows++
		case *pgproto3.ErrorResponse:
			if answer != nil {
				break // what follows the first error is its consequence
			}
			answer = pgconn.ErrorResponseToPgError(m)
			if fatal(answer) {
				return rows, answer
			}
		case *pgproto3.ReadyForQuery:
			c.status = m.TxStatus
			return rows, answer
		}
	}
}

// Close closes the socket without a word, as a killed or impatient client does.
func (c *Conn) Close() {
	c.unhook()
	c.net.Close()
}

// Quit says goodbye and closes.
func (c *Conn) Quit() {
	_ = c.net.SetDeadline(time.Now().Add(time.Second))
	c.front.Send(&pgproto3.Terminate{})
	_ = c.front.Flush()
	c.Close()
}

// fatal reports whether err is a server's error after which it closes the connection.
func fatal(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Severity == "FATAL" || pe.Severity == "PANIC")
}
