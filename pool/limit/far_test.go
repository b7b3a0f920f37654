package limit

import (
	"testing"
	"time"
)

// apps are an application that reads, and one that only writes, whose statements have no votes; of long statements and of short ones.
var apps = []plant{
	{cost: 0.02}, {cost: 0.002}, {cost: 0.02, write: true}, {cost: 0.002, write: true},
}

// until is how long it takes until the limit is n, a minute at most.
func (p *plant) until(n int) time.Duration {
	begin := p.now
	for p.law.Current() < n && p.now.Sub(begin) < time.Minute {
		p.step()
	}
	return p.now.Sub(begin)
}

// TestLimitFollowsAServerThatMovesAway: the server is 150 ms away of a sudden, whatever the law is about, and the same work needs many more statements at
// once.
func TestLimitFollowsAServerThatMovesAway(t *testing.T) {
	for _, app := range apps {
		for near := 20; near < 150; near += 12 {
			p := newPlant(NewAIMD(Config{}), 100)
			p.cost, p.write, p.level = app.cost, app.write, true
			for range near {
				p.step()
			}
			p.delay = 0.15
			if d := p.until(40); d > 18*time.Second {
				t.Errorf("%v s each, writes %v, moved after %d steps: the limit is 40 after %s", app.cost, app.write, near, d)
			}
		}
	}
}

// TestServerFarAwayIsFound: a new law before a server that is 150 ms away.
func TestServerFarAwayIsFound(t *testing.T) {
	for _, app := range apps {
		p := newPlant(NewAIMD(Config{}), 100)
		p.cost, p.write, p.level, p.delay = app.cost, app.write, true, 0.15
		if d := p.until(40); d > 8*time.Second {
			t.Errorf("%v s each, writes %v: the limit is 40 after %s", app.cost, app.write, d)
		}
	}
}

// TestWritesThatBecomeSlowAreNoRunaway: where nothing votes, a server that does less of a sudden, again and again, has its limit tried, and comes back from what
// was too much. Waves of 6 s, which are at the pace of the windows, are left out: what is compared then is of two times.
func TestWritesThatBecomeSlowAreNoRunaway(t *testing.T) {
	for _, factor := range []float64{0.1, 0.3, 0.5} {
		for every := 36; every < 150; every += 24 {
			p := newPlant(NewAIMD(Config{}), 400)
			p.cost, p.write = 0.002, true
			mean := 0.0
			for i := range 600 {
				if p.factor = 1; i/every%2 == 1 {
					p.factor = factor
				}
				mean += float64(p.step().Limit) / 600
			}
			if mean > 16 {
				t.Errorf("at %v of its speed each other %d steps: the limit is %.1f on 8 cores on average", factor, every, mean)
			}
		}
	}
}
