package proxy

import (
	"time"

	"pgguard/pool/limit"
)

// ran is what an exchange has run: what the law and the breaker are told when it has ended.
type ran struct {
	n      int // statements
	kind   limit.Kind
	failed bool // an error ended it
	raised bool // one with the code of a broken server
	waited bool // its server was found to wait for the client: how long it took is the client's doing
}

// add notes what a request runs.
func (x *ran) add(r *request) {
	runs, last := r.Runs()
	if x.n += runs; runs > 0 {
		x.kind = kindOf(last)
	}
}

// sample is what the law is told. Several statements in one exchange cannot be told apart: they say nothing, no more than one that has
// failed or has waited for its client.
func (x *ran) sample(took time.Duration) limit.Sample {
	switch {
	case x.failed || x.waited:
		return limit.Sample{Elapsed: took, Kind: limit.Failed}
	case x.n != 1:
		return limit.Sample{Elapsed: took, Kind: limit.Control}
	}
	return limit.Sample{Elapsed: took, Kind: x.kind}
}
