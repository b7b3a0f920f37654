package console

import (
	"testing"
	"time"

	"pgguard/proxy"
)

// TestAveragesAreOfTheLastWholePeriod, and before that has ended of the time since the start.
func TestAveragesAreOfTheLastWholePeriod(t *testing.T) {
	at := time.Now()
	a := averages{began: at}
	done := func(n uint64) proxy.Totals {
		return proxy.Totals{Queries: n, QueryTime: time.Duration(n) * time.Millisecond, Received: 10 * n, WaitTime: time.Duration(n) * time.Microsecond}
	}
	for _, c := range []struct {
		after  time.Duration // since the start
		total  uint64        // by then
		ends   bool          // a period
		per    uint64        // second
		micros uint64        // each
	}{
		{10 * time.Second, 100, false, 10, 1000},
		{60 * time.Second, 600, true, 10, 1000},
		{70 * time.Second, 5000, false, 10, 1000},
		{120 * time.Second, 6600, true, 100, 1000},
		{180 * time.Second, 6600, true, 0, 0},
	} {
		now := at.Add(c.after)
		if c.ends {
			a.take(map[string]proxy.Totals{"app": done(c.total)}, now)
		}
		did, took := a.of("app", done(c.total), now)
		for i := range figures {
			want := map[string]uint64{"query_count": c.per, "received": 10 * c.per, "wait_time": c.per, "query_time": c.micros}[figures[i].total]
			if got := figures[i].averageOf(did, took); got != want {
				t.Errorf("after %s: avg_%s is %d, want %d", c.after, figures[i].average, got, want)
			}
		}
	}
}

func TestAveragesOfWhatBeganAnewAreNotNegative(t *testing.T) {
	was, is := proxy.Totals{Queries: 10, Received: 100}, proxy.Totals{Queries: 3, Received: 30}
	if got := less(is, was); got != is {
		t.Errorf("got %+v", got)
	}
}
