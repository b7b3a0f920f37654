package event_test

import (
	"encoding/json"
	"fmt"
	"time"

	"pgguard/pool/event"
)

// Who changes something adds it; who shows it reads on from where it was.
func Example() {
	ring := event.New(event.Size)
	ring.Add(event.Event{
		Time: time.Unix(0, 0).UTC(), Kind: event.Limit, Cause: "growing", From: "8", To: "10", Mode: event.Enforce,
		Evidence: event.Evidence{}.With("elasticity", 0.6).With("running", 7.5),
	})
	events, _ := ring.Since(0, nil)
	text, err := json.Marshal(events[0])
	fmt.Println(string(text), err)
	// Output:
	// {"seq":1,"time":"1970-01-01T00:00:00Z","kind":"limit","cause":"growing","evidence":{"elasticity":0.6,"running":7.5},"from":"8","to":"10","mode":"enforce"} <nil>
}
