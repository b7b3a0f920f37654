package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"pgguard/proxy/auth"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
)

// What two processes of the guard tell each other while one takes the other's place. Each message is a kind and JSON, at most sock.MaxPassage long, read with
// nothing in it taken on trust. The format has a number, which a successor says first: processes that speak different ones leave one another alone.

// HandoverFormat is the format's number. It changes with every change of what follows.
const HandoverFormat = 3

// The kinds of messages.
const (
	passHello    = 'H' // newcomer: the successor's first
	passNo       = 'N' // refused: in answer to it
	passListener = 'L' // place, with a socket that is listened on
	passAll      = 'E' // standing, with the file of the deeds: those were all
	passReady    = 'R' // nothing: the successor can serve
	passGo       = 'G' // commit: it may, if the deed is free
	passTaken    = 'T' // nothing: it has the deed, and does
	passUser     = 'U' // acquaintance
	passClient   = 'C' // arrival, with a client's socket
	passAnswer   = 'A' // receipt: what has become of that
	passCancel   = 'X' // lateCancel
	passServers  = 'S' // holding
)

// newcomer is what a successor says of itself.
type newcomer struct {
	Format  int
	Version string // of the program, for the log
	PID     int
}

// refused is why there is no handover.
type refused struct{ Why string }

// place is where a socket is bound.
type place struct {
	Network, Addr string
	Own           bool // it is to be removed from its place in the end
}

// standing is how the predecessor is.
type standing struct {
	Serves  bool // clients can be served, which who takes over can find out for itself
	Clients int
}

// commit is what the successor goes on from.
type commit struct {
	NextKey  uint32
	Disabled [][]byte // databases
}

// acquaintance is what is known of a user at an instance.
type acquaintance struct {
	Instance, User []byte
	Known          auth.Bare
}

// arrival is a client between two transactions.
type arrival struct {
	ID             uint64 // of this message, and of the client's deed
	User, Database []byte // as it asked for them
	Called         []byte // its application_name at its login
	Class          string
	Listener       string
	Options        []translate.Belonging // settings of its start-up packet
	Since          time.Time
	KeyPID         uint32
	KeySecret      []byte
	Params         []translate.Belonging // what it was told of its server's settings
	Pending        []byte                // what it has sent, and nobody has dealt with
	Has            translate.Belongings
}

// receipt answers an arrival.
type receipt struct {
	ID  uint64
	Why string // it cannot be served; empty: it is
}

// lateCancel is a cancel request for somebody who may be with the predecessor.
type lateCancel struct {
	PID    uint32
	Secret []byte
}

// holding is how many servers the predecessor has of each instance.
type holding struct{ Servers map[string]int }

// pass sends a message.
func pass(p *sock.Passage, kind byte, m any) error { return send(p, kind, m, nil) }

// passWith is pass with a socket.
func passWith(p *sock.Passage, kind byte, m any, with any) error {
	socket, ok := with.(syscall.Conn)
	if !ok {
		return errors.New("it is no socket")
	}
	return send(p, kind, m, socket)
}

func send(p *sock.Passage, kind byte, m any, socket syscall.Conn) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return p.Send(kind, body, socket)
}

// receive receives a message that brings no socket. One that comes with it all the same is closed.
func receive(p *sock.Passage) (kind byte, body []byte, err error) {
	kind, body, with, err := p.Receive()
	if with != nil {
		_ = with.Close()
	}
	return kind, body, err
}

// hear reads a message's body.
func hear[T any](body []byte) (m T, err error) {
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("a message of a handover: %w", err)
	}
	return m, nil
}

// What an arrival may hold, beside its belongings.
const (
	maxArrivalName    = 64 << 10 // of a user, a database, an application: a start-up packet has less
	maxArrivalOptions = 10_000
	maxPending        = 4 << 20
)

// errArrival is why no client can be what is said of it.
var errArrival = errors.New("what is said of a client is not understood")

// check refuses what no client can be.
func (a *arrival) check() error {
	for _, name := range [][]byte{a.User, a.Database, a.Called} {
		if len(name) > maxArrivalName {
			return errArrival
		}
	}
	switch {
	case a.ID == newcomersDeed, a.ID >= sock.MostDeeds, len(a.User) == 0, len(a.Database) == 0, a.KeyPID == 0, a.KeyPID > 0x7fffffff, len(a.Pending) > maxPending:
		return errArrival
	case len(a.KeySecret) != 4 && len(a.KeySecret) != keySize:
		return errArrival
	case len(a.Options) > maxArrivalOptions, len(a.Params) > maxArrivalOptions:
		return errArrival
	}
	return nil
}
