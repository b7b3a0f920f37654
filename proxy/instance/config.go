package instance

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy/auth"
)

// Config is everything an instance is told. Log, Events, Open and Reap are needed.
type Config struct {
	// Pool configures its pool.
	Pool pool.Config
	// Observe decides and tells, and changes nothing.
	Observe bool
	// Limit is the run limit; 0 finds it, and follows it.
	Limit int
	// MostServers bounds the cap that is measured; 0: nothing does.
	MostServers int
	// MaxPinned is how many clients may keep a server between transactions; 0: half of the cap (pool.Keepable).
	MaxPinned int
	// KeepAlive and Secure are upstream.Door's.
	KeepAlive net.KeepAliveConfig
	Secure    func(net.Conn, *tls.Config) *tls.Conn
	// Source and Users are upstream.Door's.
	Source *auth.Source
	Users  func(name string) auth.Known
	// LearnedDir is where what was learned is kept for a restart; empty: nowhere.
	LearnedDir string
	// Lookups are the ways in which users may be looked up.
	Lookups []Lookup
	// Prints gives statements their numbers, and keeps what each is called.
	Prints *Prints
	// ShowQueries keeps texts of statements without their literals, to be shown.
	ShowQueries bool
	// Log receives one line for each decision and each connection lost.
	Log *slog.Logger
	// Events keeps what was decided.
	Events *event.Ring
	// Open logs in to a server for the pool, as its key says. It may be called by many goroutines at once, and blocks.
	Open func(ctx context.Context, in *Instance, s *pool.Server) (Server, error)
	// Reap ends a transaction that does nothing while others wait for its slot. It is called four times a second by one
	// goroutine, and does not block.
	Reap func(in *Instance, now time.Time)
}

// Server is a connection of the pool, as far as the instance must know it. Any goroutine may call its methods.
type Server interface {
	pool.Conn
	// Slot is its place in the pool.
	Slot() *pool.Server
	// At is the address where it is.
	At() string
	// PID is the number of its process.
	PID() uint32
	// Print is the number of the statement that it runs.
	Print() uint16
	// Blocked is told that it was seen to wait for a lock, by a look that began at asked: what has begun since is another statement.
	Blocked(asked time.Time)
	// ReadOnly is true if the server has said that it is a standby.
	ReadOnly() bool
	// Cut ends the connection at once, whoever has it: what the server answers from now on is told to nobody. It never blocks.
	Cut(why string)
}
