package ledger

import (
	"fmt"
	"strings"
	"time"
)

// chapter is a stretch of a client's life: a connection's beginning, or one thing that it does.
type chapter struct {
	before *chapter
	client string
	start  time.Time
	events []event
}

type event struct {
	at   time.Time
	text string
}

// note writes down what happens.
func (c *chapter) note(text string) { c.events = append(c.events, event{time.Now(), text}) }

// String is the chapter and the few before it, of the same client.
func (c *chapter) String() string {
	const few = 2
	var all []*chapter
	for n := 0; c != nil && n <= few; n, c = n+1, c.before {
		all = append([]*chapter{c}, all...)
	}
	var b strings.Builder
	for _, k := range all {
		fmt.Fprintf(&b, "    %s\n", k.client)
		for _, e := range k.events {
			fmt.Fprintf(&b, "      %s %s\n", e.at.Format("15:04:05.000"), e.text)
		}
	}
	return b.String()
}
