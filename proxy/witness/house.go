package witness

import (
	"time"

	"pgguard/proxy/diagnosis"
)

// house is what the guard's machine does. It belongs to the goroutine that looks.
type house struct {
	guard   diagnosis.Guard
	machine diagnosis.Machine

	at   time.Time
	used time.Duration // of processor, by this process
	was  reading
}

// look takes in what has happened since the last look; local: PostgreSQL is on this machine, so that all of it is of interest.
func (h *house) look(now time.Time, local bool) {
	used, passed := processorTime(), now.Sub(h.at).Seconds()
	first := h.at.IsZero()
	before := h.used
	h.at, h.used = now, used
	if first || passed <= 0 {
		h.was = readMachine(local, &h.was)
		return
	}
	h.guard.Used = (used - before).Seconds() / passed
	is := readMachine(local, &h.was)
	h.guard.Throttled = is.throttled > h.was.throttled
	h.machine = diagnosis.Machine{}
	if local {
		h.machine = is.since(&h.was, passed)
		h.machine.Guard = h.guard.Used
	}
	h.was = is
}
