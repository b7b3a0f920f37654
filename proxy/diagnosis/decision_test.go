package diagnosis

import (
	"testing"

	"pgguard/pool/event"
)

func TestDecisionNamesTheOperator(t *testing.T) {
	e := event.Event{Kind: event.Operate, Subject: "app", Cause: "pause", By: "ops", Mode: event.Enforce}
	if got := Decision(&e); got != "ops said PAUSE to app in the console." {
		t.Errorf("got %s", got)
	}
}
