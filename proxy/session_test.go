package proxy

import (
	"reflect"
	"testing"
)

// TestSessionCanBeKeptInMind: a session is what it is to its client, and what it does. What is more belongs to a noun of its own.
func TestSessionCanBeKeptInMind(t *testing.T) {
	const most = 34
	if n := reflect.TypeFor[session]().NumField(); n > most {
		t.Errorf("session has %d fields, at most %d", n, most)
	}
}
