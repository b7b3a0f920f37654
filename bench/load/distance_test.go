package load

import (
	"net"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestDistanceDelaysEveryExchange: a login and a statement take their round trips, and a deadline within one has passed.
func TestDistanceDelaysEveryExchange(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	cfg, err := ParseURL(pg.URL("postgres"), "far")
	if err != nil {
		t.Fatal(err)
	}
	const trip = 100 * time.Millisecond
	Remove(cfg, trip)
	var count Connections
	c := NewClient(cfg, &count)
	defer c.Close()
	soon := time.Now().Add(20 * time.Second)
	start := time.Now()
	if err := c.Connect(t.Context(), soon); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < trip {
		t.Errorf("a login took %v over a distance of %v", took, trip)
	}
	start = time.Now()
	if rows, err := c.Exec(t.Context(), "SELECT generate_series(1, 5000), repeat('x', 100)", soon); err != nil || rows != 5000 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if took := time.Since(start); took < trip {
		t.Errorf("a statement took %v over a distance of %v", took, trip)
	}
	if _, err := c.Exec(t.Context(), "SELECT 1", time.Now().Add(trip*3/4)); Label(err) != Timeout || c.Connected() {
		t.Errorf("with a deadline below the round trip: %v, connected %v", err, c.Connected())
	}
}

// TestDistanceDelaysAnAnswerOnce, however many pieces it comes in.
func TestDistanceDelaysAnAnswerOnce(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	d := &distant{Conn: far, half: 30 * time.Millisecond}
	go func() {
		b := make([]byte, 1)
		if _, err := near.Read(b); err != nil {
			return
		}
		for range 50 {
			if _, err := near.Write(b); err != nil {
				return
			}
		}
	}()
	start := time.Now()
	if _, err := d.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, err := d.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 2*d.half || took > 20*d.half {
		t.Errorf("50 pieces took %v, want about %v", took, 2*d.half)
	}
}
