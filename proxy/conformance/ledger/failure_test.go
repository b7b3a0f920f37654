package ledger

import (
	"fmt"
	"strings"

	"pgguard/proxy/wire"
)

// What the guard says of a statement that it has not sent, and of what is rolled back for certain.
const (
	hintSafe  = "The statement was not sent; it is safe to try again."
	hintAgain = "Run the whole transaction again."
)

// failure is an ErrorResponse.
type failure struct {
	code, message, hint string
	fatal               bool
	ends                bool // it came for a statement that ends a transaction block
}

func (f *failure) String() string { return f.code + " " + clip(f.message) }

func parseFailure(body []byte) (*failure, error) {
	fields, err := wire.ParseError(body)
	if err != nil {
		return nil, err
	}
	f := &failure{code: string(fields.Code), message: string(fields.Message), fatal: fields.Fatal()}
	for _, text := range strings.Split(string(body), "\x00") {
		if strings.HasPrefix(text, "H") {
			f.hint = text[1:]
		}
	}
	return f, nil
}

// refuses is whether the guard says that the statement was not sent.
func (f *failure) refuses() bool {
	switch f.code {
	case "53300", "53400", "53000":
		return strings.HasPrefix(f.hint, hintSafe)
	}
	return false
}

// discards is whether the guard says that too many clients keep a server of their own.
func (f *failure) discards() bool { return f.code == "53400" && !strings.HasPrefix(f.hint, hintSafe) }

// lossy is whether the server is gone, so that what it did is not known.
func (f *failure) lossy() bool {
	return strings.HasPrefix(f.code, "08") || strings.HasPrefix(f.code, "57P0")
}

// passes is whether an application may do the same again.
func (f *failure) passes() bool {
	switch f.code {
	case "08006", "25P03", "57014", "40P01", "25P02":
		return true
	}
	return f.refuses()
}

// outcome is what becomes of a statement that this is the answer to; of one that may have been committed, if the server is gone.
func (f *failure) outcome(may bool) outcome {
	switch {
	case f.refuses():
		return refused
	case f.lossy() && f.hint != hintAgain && may:
		return unknown
	}
	return failed
}

// hearError enters an ErrorResponse.
func (t *talk) hearError(typ byte, body []byte) error {
	f, err := parseFailure(body)
	if err != nil {
		return fmt.Errorf("%w: %q", err, body)
	}
	if t.fatal != nil {
		return t.outOfStep(typ, body)
	}
	t.last = f
	if f.fatal {
		t.fatal = f
		return nil
	}
	h := t.head()
	if h == nil && t.unsynced && (!t.skipping || f.lossy()) {
		h = &owed{message: &message{}} // everything is answered; what is still to come of the batch is read over
	}
	if h == nil || h.errored && !f.discards() && !f.lossy() {
		return t.outOfStep(typ, body)
	}
	if f.refuses() && t.explicit && len(t.unit) > 0 {
		t.broken = append(t.broken, "refused inside a transaction: "+f.String())
	}
	if h.at < len(h.deeds) {
		f.ends = h.deeds[h.at].act == actCommit || h.deeds[h.at].act == actRollback
	}
	switch {
	case h.errored && f.discards(): // of what has failed; the first error says more
		return nil
	case h.errored && t.failure != nil:
		f.ends = f.ends || t.failure.ends
	}
	t.failure = f
	var may map[*attempt]bool
	if f.lossy() {
		may = t.reach()
	}
	t.fail(h, f, may)
	if f.lossy() {
		for _, a := range t.unit {
			a.settle(f.outcome(may[a]), f.String())
		}
		t.unit = nil
	}
	if t.explicit {
		t.poisoned = true
	}
	return nil
}

// fail settles what an error is the answer to: the head's own statements, and what the server reads over.
func (t *talk) fail(h *owed, f *failure, may map[*attempt]bool) {
	settle := func(a *attempt) {
		o := f.outcome(may[a])
		if o == failed && commitsItself(h, a) {
			o = unknown // committed on the way, or not
		}
		a.settle(o, f.String())
	}
	t.copying = nil
	switch h.typ {
	case wire.Query, wire.FunctionCall:
		t.each(h.message, h.at, settle)
		h.errored = true
		return
	case wire.Sync:
		h.errored = true
		return
	}
	if f.code == "26000" {
		clear(t.names) // the client has another opinion on what is prepared; it begins anew
	}
	for len(t.owed) > 0 && t.owed[0].typ != wire.Sync {
		t.each(t.owed[0].message, t.owed[0].at, settle)
		t.owed = t.owed[1:]
	}
	if len(t.owed) == 0 {
		t.skipping, t.verdict = true, f.outcome(false)
	}
}

// commitsItself is whether the message under way commits a on its way to its end.
func commitsItself(h *owed, a *attempt) bool {
	for _, d := range h.deeds {
		for _, inner := range d.inner {
			if a == inner {
				return true
			}
		}
	}
	return false
}
