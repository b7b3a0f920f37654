package admin

import "pgguard/pool/event"

// Events is what /api/v1/events shows.
type Events struct {
	// Missed is how many events after the one asked for are not kept any more.
	Missed uint64        `json:"missed"`
	Events []event.Event `json:"events"` // oldest first
}

// NewEvents returns the events as the JSON shows them: a list, never null.
func NewEvents(list []event.Event, missed uint64) Events {
	if list == nil {
		list = []event.Event{}
	}
	return Events{Missed: missed, Events: list}
}
