package proxy

import (
	"errors"
	"log/slog"

	"pgguard/pool/event"
)

// explain keeps an event, and logs it. It is not called for each statement.
func (in *instance) explain(e event.Event) {
	e.Mode = event.Enforce
	if in.srv.cfg.Observe {
		e.Mode = event.Observe
	}
	if e.Subject == "" {
		e.Subject = in.name()
	}
	in.srv.events.Add(e)
	numbers := make([]any, 0, e.Evidence.Len())
	for i := range e.Evidence.Len() {
		n := e.Evidence.At(i)
		numbers = append(numbers, slog.Float64(n.Name, n.Value))
	}
	in.srv.log.Info("decided", "kind", e.Kind, "subject", e.Subject, "cause", e.Cause, "from", e.From, "to", e.To, "mode", e.Mode,
		slog.Group("evidence", numbers...))
}

// Events returns the decisions after the one with this sequence number, oldest first, and how many more there were that
// are forgotten. 0 gives all that are kept. Any goroutine may call it.
func (srv *Server) Events(seq uint64) (events []event.Event, missed uint64) {
	return srv.events.Since(seq, nil)
}

// errOr is err, or one of these words.
func errOr(err error, words string) error {
	if err != nil {
		return err
	}
	return errors.New(words)
}
