package diagnosis

import (
	"cmp"
	"strings"
	"time"

	"pgguard/pool/event"
	"pgguard/pool/sorting"
)

// State is a word of a closed set: the public surface has it.
type State string

// The states, the worst first.
const (
	Down        State = "database_down"
	GuardCPU    State = "guard_cpu"
	CapReached  State = "cap_reached"
	SlowReaders State = "slow_readers"
	Locks       State = "locks"
	IdleInTx    State = "idle_in_transaction"
	Network     State = "network"
	Strangers   State = "strangers"
	Shedding    State = "shedding"
	Guarding    State = "guarding"
	Busy        State = "busy"
	Calm        State = "calm"
)

// States are all of them.
var States = []State{Down, GuardCPU, CapReached, SlowReaders, Locks, IdleInTx, Network, Strangers, Shedding, Guarding, Busy, Calm}

// Healthy is true if nothing is wrong that anybody should do something about.
func (s State) Healthy() bool { return s == Calm || s == Busy }

// String is the state as a person reads it.
func (s State) String() string {
	switch s {
	case Down:
		return "database down"
	case GuardCPU:
		return "guard short of CPU"
	case CapReached:
		return "cap reached by others"
	case SlowReaders:
		return "clients do not read"
	case Locks:
		return "waiting for locks"
	case IdleInTx:
		return "idle transactions hold the pool"
	case Network:
		return "network slow"
	case Strangers:
		return "strangers take the server"
	}
	return string(s)
}

// Verdict is what is wrong, or that nothing is. Its JSON names are part of the public surface. All text in it is fit to be shown.
type Verdict struct {
	State      State          `json:"state"`
	Cause      string         `json:"cause"` // a word that tells apart what has the same state
	Sentence   string         `json:"sentence"`
	Advice     string         `json:"advice"`
	Since      time.Time      `json:"since"`
	Confidence float64        `json:"confidence"` // 0 to 1
	Database   string         `json:"database,omitempty"`
	Culprit    Culprit        `json:"culprit"`
	Evidence   event.Evidence `json:"evidence"`
}

// Same is true if v says the same as o, whatever its numbers are.
func (v *Verdict) Same(o *Verdict) bool {
	return v.State == o.State && v.Cause == o.Cause && v.Database == o.Database && v.Culprit.Who() == o.Culprit.Who()
}

// bearable is true if it makes no incident: nothing is wrong, or some wait so that others need not, which is what the guard is for and may go on for ever.
func (v *Verdict) bearable() bool { return v.State.Healthy() || v.Cause == causeYields }

// Sort puts the worst verdict first; those that are alike in the order of their databases.
func Sort(verdicts []Verdict) {
	sorting.By(verdicts, func(a, b Verdict) int {
		return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.Database, b.Database))
	})
}

// Culprit is who causes it, as far as that is known.
type Culprit struct {
	Class       string            `json:"class,omitempty"`
	Application string            `json:"application_name,omitempty"`
	Client      string            `json:"client,omitempty"`
	PID         int               `json:"pid,omitempty"` // of the PostgreSQL process; where Process is set, of that
	Process     string            `json:"process,omitempty"`
	Fingerprint string            `json:"fingerprint,omitempty"`
	Statement   string            `json:"statement,omitempty"` // its command and first table
	Query       string            `json:"query,omitempty"`     // its text without literals, where texts may be shown
	Tags        map[string]string `json:"tags,omitempty"`
	Waiters     int               `json:"waiters,omitempty"` // who wait for it
	Through     *Culprit          `json:"through,omitempty"` // for whom they wait directly, who waits for it
}

// Who is what the culprit is called in a sentence: the job or the action that its tags name, else its application, else what it runs. Empty:
// nothing is known.
func (c *Culprit) Who() string {
	switch {
	case c.Process != "":
		return c.Process
	case c.Tags["job"] != "":
		return c.Tags["job"]
	case c.Tags["controller"] != "" && c.Tags["action"] != "":
		return c.Tags["controller"] + "#" + c.Tags["action"]
	case c.Application != "":
		return c.Application
	}
	return c.Statement
}

// Untold is the culprit without the text of what it runs, as logs and files may have it.
func (c Culprit) Untold() Culprit {
	c.Query = ""
	if c.Through != nil {
		through := c.Through.Untold()
		c.Through = &through
	}
	return c
}

// describe sets what a statement is called: its command and table, and its tags; and its text.
func (c *Culprit) describe(name Named) {
	c.Query = name.Query
	parts := strings.Split(shownAs(name.Called, maxSubject), ", ")
	for i, part := range parts {
		key, value, tagged := strings.Cut(part, "=")
		switch {
		case tagged && i > 0, tagged && len(parts) == 1:
			if c.Tags == nil {
				c.Tags = map[string]string{}
			}
			c.Tags[shown(key)] = shown(value)
		case i == 0:
			c.Statement = shown(part)
		}
	}
}

// words is the statement with the tags that name where it comes from.
func (c *Culprit) words() string {
	text := c.Statement
	if text == "" {
		text = "a statement"
	}
	for _, key := range []string{"job", "controller", "action"} {
		if value := c.Tags[key]; value != "" {
			text += " " + key + "=" + value
		}
	}
	return text
}
