package pool_test

import (
	"strings"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/queue"
)

func TestDefaultIsValid(t *testing.T) {
	if faults := pool.Default().Validate(); len(faults) != 0 {
		t.Error(faults)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	bad := pool.Config{
		MaxServers: -1, Dials: 0, IdleTimeout: -time.Second, Lifetime: -time.Second,
		Classes: []queue.Class{
			{},
			{Name: "b", Weight: 1},
			{Name: "c", Weight: 1, MaxWait: 1},
			{Name: "d", Weight: 1, MaxWait: 1, MaxLength: 1, MaxShare: 1.5},
			{Name: "e"},
		},
	}
	var got []string
	for _, f := range bad.Validate() {
		key, _, _ := strings.Cut(f.Error(), ":")
		got = append(got, key)
	}
	want := "max_servers dials idle_timeout lifetime classes[0].name classes[1].max_wait classes[2].max_length " +
		"classes[3].max_share classes[4].weight"
	if strings.Join(got, " ") != want {
		t.Errorf("faults of\n%s, want\n%s", strings.Join(got, " "), want)
	}
	for _, cs := range [][]queue.Class{nil, make([]queue.Class, queue.MaxClasses+1)} {
		c := pool.Default()
		c.Classes = cs
		if f := c.Validate(); len(f) == 0 || !strings.HasPrefix(f[0].Error(), "classes: ") {
			t.Errorf("%d classes: %v", len(cs), f)
		}
	}
}

func TestHistogramIsCumulative(t *testing.T) {
	var counts [pool.HistogramSize]uint64
	for _, d := range []time.Duration{0, 100 * time.Microsecond, 101 * time.Microsecond, time.Hour} {
		counts[pool.HistogramBucket(d)]++
	}
	b := pool.BucketsOf(counts, 2*time.Second)
	if b.Count != 4 || b.Counts[0] != 2 || b.Counts[1] != 3 || b.Counts[len(b.Counts)-1] != 3 || b.Sum != 2 || b.Bounds[0] != 0.0001 {
		t.Errorf("%+v", b)
	}
}
