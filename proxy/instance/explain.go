package instance

import (
	"log/slog"

	"pgguard/pool/event"
)

// Explain keeps an event, and logs it. It is not called for each statement.
func (in *Instance) Explain(e event.Event) {
	e.Mode = event.Enforce
	if in.cfg().Observe {
		e.Mode = event.Observe
	}
	e.Database = in.Name()
	if e.Subject == "" {
		e.Subject = e.Database
	}
	in.cfg().Events.Add(e)
	numbers := make([]any, 0, e.Evidence.Len())
	for i := range e.Evidence.Len() {
		n := e.Evidence.At(i)
		numbers = append(numbers, slog.Float64(n.Name, n.Value))
	}
	in.cfg().Log.Info("decided", "kind", e.Kind, "upstream", e.Database, "subject", e.Subject, "cause", e.Cause, "from", e.From, "to", e.To, "mode", e.Mode,
		slog.Group("evidence", numbers...))
}
