package proxy

import (
	"errors"
	"fmt"
	"time"

	"pgguard/proxy/upstream"
)

// farewell is the message of a log line about a client's end: what, or PgBouncer's words, which programs look for.
func (srv *Server) farewell(what, why string, since time.Time) string {
	if !srv.cfg().LikePgBouncer {
		return what
	}
	if why == errDrained.Error() {
		why = "server shutting down"
	}
	age := time.Duration(0)
	if !since.IsZero() {
		age = time.Since(since)
	}
	return fmt.Sprintf("closing because: %s (age=%ds)", why, int(age.Seconds()))
}

// noSuchDatabase is the answer to who asks for a database that is nowhere. The guard's own names none: drivers guess from names what went wrong.
func (srv *Server) noSuchDatabase(name string) *Refusal {
	if srv.cfg().LikePgBouncer {
		return &Refusal{Reason: ReasonRejected, Message: "no such database: " + name}
	}
	return &Refusal{Reason: ReasonRejected, Message: "guard: there is no such database"}
}

// errorWords are those of an error that the client was told, or of one that it was not.
func errorWords(err error) string {
	var r *Refusal
	var said *upstream.Error
	switch {
	case errors.As(err, &r):
		return r.Message
	case errors.As(err, &said):
		return said.Message
	}
	return err.Error()
}
