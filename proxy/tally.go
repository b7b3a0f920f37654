package proxy

import (
	"sync/atomic"
	"time"
)

// tally counts what one session does. Only its session and whoever serves it adds, so that no processor waits for another's; anybody may
// read it.
type tally struct {
	received, sent           atomic.Uint64 // bytes, from the client and to it
	leases                   atomic.Uint64 // servers granted
	queries, transactions    atomic.Uint64
	queryTime, transactTime  atomic.Int64 // nanoseconds
	waitTime                 atomic.Int64 // nanoseconds, for servers and run tokens
	parses, binds, prepareds atomic.Uint64
}

// Totals are what clients of a database have done since the start.
type Totals struct {
	Received, Sent                       uint64 // bytes, from clients and to them
	Leases                               uint64 // servers granted
	Queries, Transactions                uint64 // exchanges, transactions that had a server
	QueryTime, TransactionTime, WaitTime time.Duration
	Parses, Binds                        uint64 // messages of clients
	Prepared                             uint64 // statements that servers prepared for them
}

// totals is what the session has done so far.
func (t *tally) totals() Totals {
	return Totals{
		Received: t.received.Load(), Sent: t.sent.Load(), Leases: t.leases.Load(),
		Queries: t.queries.Load(), Transactions: t.transactions.Load(),
		QueryTime: time.Duration(t.queryTime.Load()), TransactionTime: time.Duration(t.transactTime.Load()), WaitTime: time.Duration(t.waitTime.Load()),
		Parses: t.parses.Load(), Binds: t.binds.Load(), Prepared: t.prepareds.Load(),
	}
}

// Add adds what others have done.
func (t *Totals) Add(o Totals) {
	t.Received += o.Received
	t.Sent += o.Sent
	t.Leases += o.Leases
	t.Queries += o.Queries
	t.Transactions += o.Transactions
	t.QueryTime += o.QueryTime
	t.TransactionTime += o.TransactionTime
	t.WaitTime += o.WaitTime
	t.Parses += o.Parses
	t.Binds += o.Binds
	t.Prepared += o.Prepared
}
