package ledger

// outcome is what a client knows of one row that it tried to write.
type outcome uint8

const (
	planned      outcome = iota // the whole of its message was never sent
	sent                        // nothing is known yet; never at the end
	acknowledged                // committed, by the server's word
	refused                     // the guard said that it was not sent
	failed                      // an error said so, or it was rolled back
	unfinished                  // the client left before it had sent all that commits it
	unknown                     // what commits it was sent, and nobody said what became of it
)

var outcomeNames = [...]string{"planned", "sent", "acknowledged", "refused", "failed", "unfinished", "unknown"}

func (o outcome) String() string { return outcomeNames[o] }

// attempt is a line of the ledger: one try to write one row.
type attempt struct {
	id   int64
	form string // in which it was sent
	outcome
	why  string   // the outcome in words
	life *chapter // in which it was sent
}

// settle enters an outcome.
func (a *attempt) settle(o outcome, why string) { a.outcome, a.why = o, why }

// bounds are how often a row may be there.
type bounds struct{ least, most int }

// allow adds what one more attempt allows.
func (b bounds) allow(o outcome) bounds {
	switch o {
	case acknowledged:
		return bounds{b.least + 1, b.most + 1}
	case unknown, sent:
		return bounds{b.least, b.most + 1}
	}
	return b
}

// fault is what is wrong with a row that is there n times, or "".
func (b bounds) fault(n int) string {
	switch {
	case n < b.least:
		return "lost"
	case n > b.most && b.most == 0:
		return "ran"
	case n > b.most:
		return "twice"
	}
	return ""
}
