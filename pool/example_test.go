package pool_test

import (
	"context"
	"fmt"
	"time"

	"pgguard/pool"
	"pgguard/pool/limit"
)

// quiet is a server connection that does nothing until it is closed.
type quiet chan struct{}

func (q quiet) Run()         { <-q }
func (q quiet) Close(string) { close(q) }

// asker waits for a server like a session does, which sends its statement from Granted.
type asker struct{ granted chan pool.Lease }

func (a asker) Granted(s pool.Lease, _ time.Time, _ time.Duration) { a.granted <- s }
func (a asker) Refused(err error)                                  { fmt.Println("refused:", err) }

// A transaction begins with a server and a run token, gives the token back between statements, and everything at its end.
func Example() {
	p := pool.New(pool.Default(), limit.Frozen(10), false, func(context.Context, *pool.Server) (pool.Conn, error) {
		return make(quiet), nil
	})
	a := asker{make(chan pool.Lease, 1)}
	key := p.Key("shop", "app", "", func(*pool.Key) {})
	defer p.Forget(key)

	p.Get(&pool.Waiter{Key: key, Grantee: a}, time.Now())
	server := <-a.granted
	fmt.Println("running:", p.Stats().Running)
	p.Idle(server, time.Now())
	fmt.Println("between statements:", p.Stats().Running, "running,", p.Stats().Servers["active"], "held")
	p.Busy(server, 0, time.Now())
	p.Release(server, time.Now())
	fmt.Println("idle:", p.Stats().Servers["idle"])
	fmt.Println(p.Close(context.Background()))
	// Output:
	// running: 1
	// between statements: 0 running, 1 held
	// idle: 1
	// <nil>
}
