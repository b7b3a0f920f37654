package console

import "time"

// moment is a time as PgBouncer writes it; empty for the zero value.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// instant is the same to the millisecond.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }
