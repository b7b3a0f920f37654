package instance

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// sideName begins the application_name of the side channel. Behind it stand, for other guards, how many servers this one has and how many
// statements they run: pgguard-watch 12/3. Their own names are their clients'.
const sideName = "pgguard-watch"

// ownPath is the search_path of the guard's own sessions: what somebody has created in a schema of theirs by a name of pg_catalog's, in pg_temp, too, is
// none of theirs. Their user may be a superuser.
const ownPath = "pg_catalog, pg_temp"

// sideChannel logs in as the upstream's own user, in the way in which servers of the pool are logged in to, until ctx ends. It gives each address
// of the upstream that long.
func (in *Instance) sideChannel(ctx context.Context, patience time.Duration) (*pgx.Conn, error) {
	// What others run is in the encodings of their databases.
	c, err := in.ownChannel(ctx, in.Door().Upstream.User, in.database(), map[string]string{"client_encoding": "SQL_ASCII"}, patience)
	if err != nil {
		return nil, err
	}
	// Those of its user, or of all, are meant for clients. They are set later, so that it still sees what they are for others (lookAtDefaults).
	if _, err := c.Exec(ctx, "SET statement_timeout TO 0; SET idle_session_timeout TO 0"); err != nil {
		_ = c.PgConn().Conn().Close()
		return nil, faultOf(c, err)
	}
	return c, nil
}

// ownChannel logs in for the guard itself, with these settings beside those that it always has. With a patience for each address it says where all
// servers are to be; 0: it goes where they are.
func (in *Instance) ownChannel(ctx context.Context, user, database string, settings map[string]string, patience time.Duration) (*pgx.Conn, error) {
	h := upstream.Handshake{User: user, Password: in.Door().Password(user), Chooses: patience > 0, Patience: patience}
	h.Params = map[string]string{
		"user": user, "database": database, "application_name": sideName,
		"client_encoding": "UTF8", "standard_conforming_strings": "on", // pgx asks for both
		"search_path": ownPath,
	}
	maps.Copy(h.Params, settings)
	if err := in.Door().LogIn(ctx, &h); err != nil {
		return nil, upstream.Classify(err)
	}
	c, err := in.adopt(ctx, &h)
	if err != nil {
		_ = h.Conn.Close()
	}
	return c, err
}

// database is the one that the side channel is in.
func (in *Instance) database() string { return in.Door().Upstream.OwnDatabase() }

// adopt has pgx use a connection that is logged in. A notification tells of DDL, whenever it comes.
func (in *Instance) adopt(ctx context.Context, h *upstream.Handshake) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig("host=127.0.0.1 port=5432 user=pgguard dbname=pgguard sslmode=disable") // none of it is used
	if err != nil {
		return nil, err
	}
	cfg.TLSConfig, cfg.Fallbacks, cfg.ValidateConnect = nil, nil, nil
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	cfg.MaxProtocolVersion = "3.0"
	cfg.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { in.Catalog(in.database()).Changed(nil) }
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return newSideConn(h), nil }
	return pgx.ConnectConfig(ctx, cfg)
}

// The most that a server may say to the side channel: in one message, before it is done with one question, and of settings in all, less
// maxSideName for each question, with which the side channel may change its name. What it asks for is a thousandth of it.
const (
	maxSideMessage = 2 << 20 // a text that a server shows of a session may have a MiB (track_activity_query_size)
	maxSideAnswer  = 16 << 20
	maxSideTold    = 1 << 20
	maxSideName    = 64
)

// errSideFlood ends a side channel whose server says what no PostgreSQL would.
var errSideFlood = errors.New("not a PostgreSQL server: it says too much")

// sideConn is the connection of the side channel. It has a login of its own behind it: the start-up packet that is written to it
// goes nowhere, and its answer is what the server said in that login. It bounds what can be read, before its reader
// makes room for what is only announced. One goroutine reads at a time.
type sideConn struct {
	net.Conn
	started bool   // the start-up packet has been written
	early   []byte // to be read before the connection is

	// of the message that is read
	head  [wire.HeaderSize]byte
	held  int // bytes of it that have come
	left  int // bytes of its body that have not
	asked int // bytes since the last ReadyForQuery
	told  int // bytes of settings in all
	fault error
}

// faultOf is why the guard itself ended a side channel, which pgx keeps to itself; else err.
func faultOf(c *pgx.Conn, err error) error {
	if c != nil && err != nil {
		if side, ok := c.PgConn().Conn().(*sideConn); ok && side.fault != nil {
			return side.fault
		}
	}
	return err
}

func newSideConn(h *upstream.Handshake) *sideConn {
	c := &sideConn{Conn: h.Conn}
	c.early = append(c.early, wire.Authentication, 0, 0, 0, 8, 0, 0, 0, 0)
	for _, r := range h.Reported {
		if r.Name == "client_encoding" {
			r.Value = "UTF8" // pgx wants no other, and may take others for it
		}
		c.early = wire.AppendText(c.early, wire.ParameterStatus, r.Name, r.Value)
	}
	c.early = wire.AppendKey(c.early, h.PID, []byte{0, 0, 0, 0}) // it cancels nothing
	c.early = wire.AppendReady(c.early, wire.Idle)
	c.early = append(c.early, h.Rest...)
	return c
}

// Write implements net.Conn.
func (c *sideConn) Write(p []byte) (int, error) {
	if !c.started {
		c.started = true
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Read implements net.Conn.
func (c *sideConn) Read(p []byte) (n int, err error) {
	if len(c.early) > 0 {
		n = copy(p, c.early)
		c.early = c.early[n:]
	} else if n, err = c.Conn.Read(p); err != nil {
		return n, err
	}
	if c.fault = c.follow(p[:n]); c.fault != nil {
		return 0, c.fault
	}
	return n, nil
}

// follow keeps count of what has been read, and ends what is too much.
func (c *sideConn) follow(p []byte) error {
	for len(p) > 0 {
		if c.left > 0 {
			n := min(c.left, len(p))
			c.left, p = c.left-n, p[n:]
			continue
		}
		n := copy(c.head[c.held:], p)
		c.held, p = c.held+n, p[n:]
		if c.held < len(c.head) {
			return nil
		}
		c.held = 0
		if err := c.begins(c.head[0], binary.BigEndian.Uint32(c.head[1:])); err != nil {
			return err
		}
	}
	return nil
}

// begins looks at the start of a message.
func (c *sideConn) begins(typ byte, length uint32) error {
	if length < 4 || length > maxSideMessage {
		return errSideFlood
	}
	c.left = int(length) - 4
	switch typ {
	case wire.ReadyForQuery:
		c.asked, c.told = 0, max(0, c.told-maxSideName)
	case wire.ParameterStatus:
		c.told += int(length)
	}
	if c.asked += int(length); c.asked > maxSideAnswer || c.told > maxSideTold {
		return errSideFlood
	}
	return nil
}
