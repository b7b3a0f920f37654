package queue

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is who waits, in order of arrival.
type model struct {
	waiting []*Waiter[string]
	turns   map[[2]uint64]int // how often the second client was served while the first waited for its turn
}

func (m *model) drop(w *Waiter[string]) {
	for i, o := range m.waiting {
		if o == w {
			m.waiting = append(m.waiting[:i:i], m.waiting[i+1:]...)
			return
		}
	}
}

func (m *model) has(client uint64) bool {
	for _, w := range m.waiting {
		if w.Client == client {
			return true
		}
	}
	return false
}

// served checks that w was its client's oldest, and that no client that waits was passed by more than twice by another.
func (m *model) served(w *Waiter[string]) string {
	for _, o := range m.waiting {
		if o.Client == w.Client {
			if o != w {
				return fmt.Sprintf("%s was served before %s of the same client", w.Value, o.Value)
			}
			break
		}
	}
	m.drop(w)
	for pair := range m.turns {
		if pair[0] == w.Client {
			delete(m.turns, pair)
		}
	}
	seen := map[uint64]bool{w.Client: true}
	for _, o := range m.waiting {
		if seen[o.Client] {
			continue
		}
		seen[o.Client] = true
		pair := [2]uint64{o.Client, w.Client}
		if m.turns[pair]++; m.turns[pair] > 2 {
			return fmt.Sprintf("client %d was served three times while client %d waited", w.Client, o.Client)
		}
	}
	return ""
}

// TestClientsAreServedInTurn plays any story of one class: everybody who waits is served once, each client in order of
// arrival, and no client twice more than another that waits all the while.
func TestClientsAreServedInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := New[string]([]Class{{Name: "web", Weight: 1, MaxWait: time.Hour, MaxLength: 1000, MaxShare: 1}})
		m := &model{turns: map[[2]uint64]int{}}
		now, n := time.Unix(0, 0), 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch act := rapid.IntRange(0, 5).Draw(t, "act"); {
			case act < 3:
				n++
				w := &Waiter[string]{Value: fmt.Sprint(n), Client: uint64(rapid.IntRange(0, 6).Draw(t, "client")), Kind: uint16(rapid.IntRange(0, 3).Draw(t, "kind"))}
				if r := q.Push(w, now); r != OK {
					t.Fatalf("push: %s", r)
				}
				m.waiting = append(m.waiting, w)
			case act < 5:
				w := q.Pop(func(int) bool { return true }, func(*Waiter[string]) bool { return true })
				if (w == nil) != (len(m.waiting) == 0) {
					t.Fatalf("served %v, %d wait", w, len(m.waiting))
				}
				if w != nil {
					if fault := m.served(w); fault != "" {
						t.Fatal(fault)
					}
				}
			case len(m.waiting) > 0:
				w := m.waiting[rapid.IntRange(0, len(m.waiting)-1).Draw(t, "who")]
				if !q.Remove(w) {
					t.Fatalf("%s waits and cannot be removed", w.Value)
				}
				m.drop(w)
				if !m.has(w.Client) {
					for pair := range m.turns {
						if pair[0] == w.Client {
							delete(m.turns, pair)
						}
					}
				}
			}
			if q.Len() != len(m.waiting) || q.Waiting(0) != len(m.waiting) {
				t.Fatalf("%d wait, the model has %d", q.Len(), len(m.waiting))
			}
		}
	})
}

// TestThousandConnectionsDoNotStarveOne: whoever asks least waits least. With more clients than places some share one.
func TestThousandConnectionsDoNotStarveOne(t *testing.T) {
	for _, c := range []struct{ others, left int }{{1, 0}, {50, 0}, {10 * clientSlots, 5 * clientSlots}} {
		q := New[string]([]Class{{Name: "web", Weight: 1, MaxWait: time.Hour, MaxLength: 1 << 20, MaxShare: 1}})
		now := time.Unix(0, 0)
		for range 10_000 {
			q.Push(&Waiter[string]{Value: "greedy", Client: 1 << 40}, now)
		}
		for i := range c.others {
			q.Push(&Waiter[string]{Value: "modest", Client: uint64(i)}, now)
		}
		left := c.others
		for range 2*c.others + 1 {
			if w := q.Pop(func(int) bool { return true }, func(*Waiter[string]) bool { return true }); w.Value == "modest" {
				left--
			}
		}
		if left > c.left {
			t.Errorf("%d of %d clients with one connection still wait after %d turns", left, c.others, 2*c.others+1)
		}
	}
}

// TestEverybodyLeavesWhateverTheLoad pushes and serves at random for a minute: nobody waits past the bound that holds,
// the length is what it should be, and at the end everybody has been served or refused once.
func TestEverybodyLeavesWhateverTheLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		longest := time.Duration(rapid.IntRange(100, 5000).Draw(t, "wait")) * time.Millisecond
		q := New[string]([]Class{
			{Name: "web", Weight: 4, MaxWait: longest, MaxLength: 50, MaxShare: 1, Interactive: true},
			{Name: "jobs", Weight: 1, MaxWait: 10 * time.Second, MaxLength: 50, MaxShare: 1},
		})
		now, in, out := time.Unix(0, 0), 0, 0
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "ms")) * time.Millisecond)
			for range rapid.IntRange(0, 4).Draw(t, "asks") {
				w := &Waiter[string]{Class: rapid.IntRange(0, 1).Draw(t, "class"), Client: uint64(rapid.IntRange(0, 3).Draw(t, "client"))}
				if q.Push(w, now) == OK {
					in++
				}
			}
			for w := q.Expire(now); w != nil; w = q.Expire(now) {
				out++
				p := q.Pace(w.Class)
				waited := now.Sub(w.Since())
				if w.Late() == Overload && w.Class != 0 || waited < p.Bound {
					t.Fatalf("class %d refused (%s) after %s", w.Class, w.Late(), waited)
				}
			}
			for class, most := range []time.Duration{min(longest, q.Pace(0).Bound), 10 * time.Second} {
				if since, ok := q.Oldest(class); ok && now.Sub(since) >= most {
					t.Fatalf("one of class %d still waits after %s", class, now.Sub(since))
				}
			}
			for range rapid.IntRange(0, 3).Draw(t, "turns") {
				if q.Pop(func(int) bool { return true }, func(*Waiter[string]) bool { return true }) != nil {
					out++
				}
			}
			if in-out != q.Len() {
				t.Fatalf("%d came, %d went, %d wait", in, out, q.Len())
			}
		}
	})
}

func TestPushAllocatesNothing(t *testing.T) {
	q := New[int]([]Class{{Name: "web", Weight: 1, MaxWait: time.Second, MaxLength: 1000, MaxShare: 1, Interactive: true}})
	waiters := make([]Waiter[int], 300)
	now, n := time.Unix(0, 0), uint64(0)
	all := func(int) bool { return true }
	can := func(*Waiter[int]) bool { return true }
	if allocs := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Millisecond)
		for i := range waiters {
			n++
			waiters[i].Client = n
			q.Push(&waiters[i], now)
		}
		for q.Pop(all, can) != nil {
			q.Charge(0, 1, time.Millisecond)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

// TestEverybodyIsServedInOrderWhereAllCanBe plays any load of which a server of a steady pace serves everybody in time, by clients who
// leave after a deadline: nobody is refused, nobody is served before one of his lane who came earlier, and nobody leaves.
func TestEverybodyIsServedInOrderWhereAllCanBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := New[string]([]Class{{Name: "web", Weight: 1, MaxWait: 5 * time.Second, MaxLength: 1 << 20, MaxShare: 1, Interactive: true}})
		every := time.Duration(rapid.IntRange(1, 20).Draw(t, "every ms")) * time.Millisecond
		deadline := time.Duration(rapid.IntRange(500, 5000).Draw(t, "deadline ms")) * time.Millisecond
		most := int(0.6 * min(deadline, 5*time.Second).Seconds() / every.Seconds())
		for range rapid.IntRange(0, 200).Draw(t, "left") {
			q.Left(0, deadline+time.Millisecond)
		}
		now, line, n := time.Unix(1, 0), []string{}, 0
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			for range min(rapid.IntRange(0, 1+most/4).Draw(t, "come"), most-len(line)) {
				n++
				w := &Waiter[string]{Value: fmt.Sprint(n), Kind: uint16(n % 3)}
				if r := q.Push(w, now); r != OK {
					t.Fatalf("%s of %d in line, of which one is served every %s, was told %s at a deadline of %s", w.Value, len(line), every, r, deadline)
				}
				line = append(line, w.Value)
			}
			now = now.Add(every)
			q.Advance(now)
			w := q.Pop(func(int) bool { return true }, func(*Waiter[string]) bool { return true })
			if w == nil {
				continue
			}
			if w.Value != line[0] {
				t.Fatalf("%s was served before %s", w.Value, line[0])
			}
			line = line[1:]
			if waited := now.Sub(w.Since()); waited > deadline {
				t.Fatalf("%s was served after %s, at a deadline of %s", w.Value, waited, deadline)
			}
			q.Answered(0, now.Sub(w.Since()), 0)
			q.Charge(0, w.Kind, every)
		}
	})
}

// TestLanesHoldUpNobodyElse plays any story of one class with lanes: whoever is served is the earliest of his lane, and of the open lanes
// the one is served whose first came earliest.
func TestLanesHoldUpNobodyElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := New[string]([]Class{{Name: "web", Weight: 1, MaxWait: time.Hour, MaxLength: 1000, MaxShare: 1}})
		var open [Lanes]bool
		q.Bound(func(lane int) bool { return open[lane] })
		var waiting []*Waiter[string]
		now := time.Unix(1, 0)
		for n := range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "ms")) * time.Millisecond)
			lane := rapid.IntRange(0, 4).Draw(t, "lane")
			switch rapid.SampledFrom([]string{"push", "push", "pop", "pop", "bar", "move", "leave"}).Draw(t, "act") {
			case "push":
				w := &Waiter[string]{Value: fmt.Sprint(n), Lane: uint8(lane)}
				q.Push(w, now)
				waiting = append(waiting, w)
			case "bar":
				open[lane] = !open[lane]
			case "move":
				from := uint8(rapid.IntRange(0, 4).Draw(t, "from"))
				q.Sort(func(w *Waiter[string]) uint8 {
					if w.Lane == from {
						return uint8(lane)
					}
					return w.Lane
				})
			case "leave":
				if len(waiting) > 0 {
					i := rapid.IntRange(0, len(waiting)-1).Draw(t, "who")
					q.Remove(waiting[i])
					waiting = append(waiting[:i:i], waiting[i+1:]...)
				}
			case "pop":
				want := -1
				for i, w := range waiting {
					if want < 0 && (w.Lane == Common || open[w.Lane]) {
						want = i
					}
				}
				got := q.Pop(func(int) bool { return true }, func(*Waiter[string]) bool { return true })
				if (got == nil) != (want < 0) || got != nil && got != waiting[want] {
					t.Fatalf("served %v, want number %d of those who wait", got, want)
				}
				if got != nil {
					waiting = append(waiting[:want:want], waiting[want+1:]...)
				}
			}
			held := 0
			for _, w := range waiting {
				if w.Lane != Common && !open[w.Lane] {
					held++
				}
			}
			var ready [1]int
			if got := q.Ready(ready[:]); q.Len() != len(waiting) || got != held || ready[0] != len(waiting)-held {
				t.Fatalf("%d wait, %d are held up and %d not, want %d and %d", q.Len(), got, ready[0], len(waiting), held)
			}
		}
	})
}
