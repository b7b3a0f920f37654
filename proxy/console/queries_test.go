package console

import (
	"slices"
	"testing"
	"time"

	"pgguard/proxy"
)

// TestQueriesAreThoseThatLeadByAnyMeasure: what takes long, what waits and what is blocked are all shown, the longest first, and not the rest.
func TestQueriesAreThoseThatLeadByAnyMeasure(t *testing.T) {
	var prints []proxy.Print
	for i := range 3 * mostQueries {
		prints = append(prints, proxy.Print{Index: uint16(i + 1), Calls: 1, Took: time.Duration(1000 - i)})
	}
	last, before := uint16(3*mostQueries), uint16(3*mostQueries-1)
	prints[last-1].Waited, prints[before-1].BlockedTook = time.Second, time.Second
	var got []uint16
	for _, p := range topQueries(prints) {
		got = append(got, p.Index)
	}
	want := make([]uint16, 0, mostQueries+2)
	for i := range mostQueries {
		want = append(want, uint16(i+1))
	}
	if want = append(want, before, last); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestQueriesAreShownWithWhatTheyTook(t *testing.T) {
	k, _ := call(t, "tcp", desk(t, world()), "ops", "pgguard")
	if said := k.ask(t, "show queries"); !slices.Contains(said, "row db:5432|0000000000000abc|select items|4|1000000|250000|1000|1|500000|select * from items where id = $1") {
		t.Errorf("it says %q", said)
	}
}
