package proxy

import (
	"testing"
	"time"
)

// TestWaitForALockIsOfTheStatementThatWaited: what is known late is about what had begun when the server was looked at, and about nothing that came after.
func TestWaitForALockIsOfTheStatementThatWaited(t *testing.T) {
	began := time.Now()
	asked, next := began.Add(time.Second), began.Add(2*time.Second)
	b := &backend{}
	b.Blocked(asked)
	if !b.wasBlocked(began) {
		t.Error("the statement that waited is not known to have")
	}
	if b.wasBlocked(next) {
		t.Error("the next is taken to have waited, too")
	}
	b.Blocked(asked) // when the answer comes the server is at the next already
	if b.wasBlocked(next) {
		t.Error("a statement that has begun since is taken to have waited")
	}
	if b.wasBlocked(began) {
		t.Error("it is still in mind")
	}
}
