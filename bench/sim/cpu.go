package sim

import "math"

// maxRunning bounds the table of a curve: more statements than any scenario runs at once.
const maxRunning = 4096

// Curve is what a server does with n statements at once: C(n) seconds of work for each second.
type Curve struct {
	Name  string
	table [maxRunning]float64 // C(n)/n
}

func curve(name string, c func(n float64) float64) *Curve {
	out := &Curve{Name: name}
	for n := 1; n < maxRunning; n++ {
		out.table[n] = c(float64(n)) / float64(n)
	}
	return out
}

// usl is Gunther's law: sigma for what must go in turns, kappa for what everybody does with everybody.
func usl(name string, sigma, kappa float64) *Curve {
	return curve(name, func(n float64) float64 { return n / (1 + sigma*(n-1) + kappa*n*(n-1)) })
}

// knee is c cores with nothing shared; beyond edge statements at once (memory, say) only part of it is left.
func knee(name string, c, edge, part float64) *Curve {
	return curve(name, func(n float64) float64 {
		if n > edge {
			return min(n, c) * part
		}
		return min(n, c)
	})
}

// Peak is the most work the server can do in a second, and the fewest statements it takes within a thousandth of that.
func (c *Curve) Peak() (n int, work float64) {
	for i := 1; i < maxRunning; i++ {
		if w := c.table[i] * float64(i); w > work*1.001 {
			n, work = i, w
		}
	}
	return n, work
}

// cpu is egalitarian processor sharing: each of n jobs gets rate C(n)·b/n. Virtual time runs at that rate, so a job ends
// when virtual time has gone on by its demand, and one heap orders all ends whatever happens to the rate.
type cpu struct {
	curve   *Curve
	b       float64
	virtual float64
	at      float64 // when virtual was right
	heap    []job
}

type job struct {
	end float64 // virtual
	s   *session
}

func (c *cpu) rate() float64 { return c.curve.table[min(len(c.heap), maxRunning-1)] * c.b }

// advance brings virtual time to now; it comes before every change of the heap, the curve or b.
func (c *cpu) advance(now float64) {
	if len(c.heap) > 0 {
		c.virtual += (now - c.at) * c.rate()
	}
	c.at = now
}

// next is when the first job ends if nothing changes before.
func (c *cpu) next() float64 {
	if len(c.heap) == 0 {
		return math.Inf(1)
	}
	return c.at + max(0, c.heap[0].end-c.virtual)/c.rate()
}

func (c *cpu) push(now float64, s *session, demand float64) {
	c.advance(now)
	c.heap = append(c.heap, job{c.virtual + demand, s})
	c.up(len(c.heap) - 1)
}

// pop takes out the first job, at its end.
func (c *cpu) pop(now float64) *session {
	c.advance(now)
	s := c.heap[0].s
	c.removeAt(0)
	return s
}

// remove takes out a job before its end.
func (c *cpu) remove(now float64, s *session) {
	c.advance(now)
	c.removeAt(int(s.place))
}

func (c *cpu) removeAt(i int) {
	last := len(c.heap) - 1
	moved := c.heap[last]
	c.heap[i].s.place = -1
	c.heap = c.heap[:last]
	if i == last {
		return
	}
	c.heap[i] = moved
	c.down(i)
	c.up(int(moved.s.place))
}

func (c *cpu) up(i int) {
	j := c.heap[i]
	for i > 0 {
		p := (i - 1) / 2
		if c.heap[p].end <= j.end {
			break
		}
		c.heap[i] = c.heap[p]
		c.heap[i].s.place = int32(i)
		i = p
	}
	c.heap[i] = j
	j.s.place = int32(i)
}

func (c *cpu) down(i int) {
	j := c.heap[i]
	for {
		child := 2*i + 1
		if child >= len(c.heap) {
			break
		}
		if child+1 < len(c.heap) && c.heap[child+1].end < c.heap[child].end {
			child++
		}
		if c.heap[child].end >= j.end {
			break
		}
		c.heap[i] = c.heap[child]
		c.heap[i].s.place = int32(i)
		i = child
	}
	c.heap[i] = j
	j.s.place = int32(i)
}
