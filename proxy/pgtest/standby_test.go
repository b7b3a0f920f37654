package pgtest

import (
	"testing"
	"time"
)

// TestStandbyFollowsUntilItIsPromoted: it has what its primary commits, takes no writes, and is a primary of its own after Promote; Demote makes it
// a standby again.
func TestStandbyFollowsUntilItIsPromoted(t *testing.T) {
	c := New(t, Options{})
	s := NewStandby(t, c)
	role := func() string { return value(t, s.URL("postgres"), "select pg_is_in_recovery()") }
	if role() != "t" {
		t.Fatal("it is no standby")
	}
	if err := c.Exec(t.Context(), "create table followed ()"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); value(t, s.URL("postgres"), "select to_regclass('followed') is not null") != "t"; {
		if time.Now().After(deadline) {
			t.Fatal("it does not have what its primary has committed")
		}
	}
	if err := s.Exec(t.Context(), "create table refused ()"); err == nil {
		t.Error("it takes writes")
	}
	if err := s.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(t.Context(), "create table taken ()"); err != nil || role() != "f" {
		t.Errorf("it is no primary: %v", err)
	}
	if err := s.Demote(); err != nil {
		t.Fatal(err)
	}
	if role() != "t" {
		t.Error("it is no standby again")
	}
}

// TestTapAimsElsewhere: connections that are accepted after Aim go to the other server; those of before stay, and CutHalf resets every other one.
func TestTapAimsElsewhere(t *testing.T) {
	a, b := NewFake(t, Hang()), NewFake(t, Hang())
	p := NewTap(t, a.Addr())
	dials := func(n int) {
		for range n {
			dial(t, p)
		}
	}
	reached := func(f *Fake, n int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); f.Accepted() != n; {
			if time.Now().After(deadline) {
				t.Fatalf("%d connections, want %d", f.Accepted(), n)
			}
		}
	}
	dials(4)
	reached(a, 4)
	p.Aim(b.Addr())
	dials(1)
	reached(b, 1)
	reached(a, 4)
	p.CutHalf()
	if n := p.Count(); n != 2 {
		t.Errorf("%d of 5 connections are left, want 2", n)
	}
}
