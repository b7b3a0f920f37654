package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"pgguard/pool/limit"
	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
)

// request is what a client has sent, while it waits for a server, and while it may have to be sent once more.
type request struct {
	translate.Request
	buf   *sock.Buffer // the bytes of its messages; nil while they are the session's
	at    int          // where they begin in buf
	sent  time.Time    // first to a server, if that was going and it is to be sent again; else zero
	opens bool         // BEGIN goes ahead of it when it is sent again
	kept  bool         // the server at hand is the only one for it: a transaction or a batch is open, or the client keeps it

	// holders are those who will put it: one, and while what may be sent again is being written for the first time, who writes it, too.
	// Its link may be rid of it meanwhile, and its bytes are not to be anybody else's then.
	holders atomic.Int32
}

// pending is the request of a session that waits for a server, or for a run token for the one it has, and what is said of it meanwhile.
type pending struct {
	request *request  // nil: none waits
	offered time.Time // when it began to wait
	asked   bool      // the pool has the session's waiter
	advised bool      // the client has been told what is wrong, in this wait
	notice  *notice   // what it is to be told; nil: nothing
	denied  error     // what the pool has said against it; nil: nothing
}

var requests = sync.Pool{New: func() any { return new(request) }}

func getRequest() *request {
	r := requests.Get().(*request)
	r.Reset()
	r.holders.Store(1)
	return r
}

// putRequest gives r back with its buffer, once all of its holders have. What it held must not be used any more by who calls it.
func putRequest(r *request) {
	if r == nil || r.holders.Add(-1) > 0 {
		return
	}
	sock.Return(r.buf)
	r.buf, r.at, r.sent, r.opens, r.kept = nil, 0, time.Time{}, false, false
	r.Reset()
	requests.Put(r)
}

// kindOf is what the law is told of a statement.
func kindOf(res sql.Result) limit.Kind {
	switch {
	case res.Statements == 1 && res.TxControl:
		return limit.Control
	case res.ReadOnly:
		return limit.Read
	}
	return limit.Write
}
