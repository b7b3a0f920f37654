package queue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// story is one queue as a text test drives it. Waiters are known by name; time is what the commands say.
type story struct {
	t       *testing.T
	classes []Class
	q       *Queue[string]
	waiters map[string]*Waiter[string]
	blocked map[string]bool // waiters that cannot be served
	closed  map[int]bool    // classes that may not be served
	barred  map[int]bool    // lanes that are not open
	start   time.Time
	now     time.Time
}

// TestStories runs testdata/*.txt. Every command takes at=DURATION, the time since the start, or at=+DURATION, since the command
// before, where it matters:
//
//	class NAME weight=1 wait=1s length=10 [interactive]   adds a class; the first command after one makes the queue
//	push NAME… class=NAME [urgent] [patient] [client=0] [lane=0] [kind=0] [says=0s]   each answers with its place or the reason that keeps it out
//	pop [n=1]                                who is served, in order
//	block NAME… / unblock NAME…              can answers false for these
//	shut NAME… / open NAME…                  classOK answers false for these classes
//	remove NAME…                             takes out who has gone
//	bar LANE… / unbar LANE…                  the lanes are not open, or are again
//	lane NAME… to=LANE                       these belong to that lane now, and everybody is sorted anew
//	serve class=NAME every=1ms n=1           one is served after each such time, whose place another takes that nobody names
//	drain every=1ms n=1                      one is served after each such time, and nobody comes
//	fill NAME n=1                            so many come to the class whom nobody names, and how many are let in
//	left NAME after=2s [times=1]             a client of the class left so long after it had asked
//	answered NAME after=1s [times=1] [says=0s]   one had its answer; says is the deadline it has told
//	charge NAME held=20ms [times=1] [kind=0] what a grant of the class cost
//	expire                                   takes out everybody who is late
//	again                                    takes everybody out with Any and puts them back with Return
//	show                                     every class: how many wait, since when the first
//	pace                                     every class: whether it is overloaded, and the numbers
//	keep-order                               nobody is served newest first
//	suspend / resume                         that nobody is served is no overload
//	owe NAME… / owe                          these classes, or none, go before the others
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &story{t: t, waiters: map[string]*Waiter[string]{}, blocked: map[string]bool{}, closed: map[int]bool{}, barred: map[int]bool{}}
		s.start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string { return s.run(d) })
	})
}

func (s *story) run(d *datadriven.TestData) string {
	if arg, ok := d.Arg("at"); ok && strings.HasPrefix(arg.SingleVal(s.t), "+") {
		s.now = s.now.Add(s.duration(d, "at", 0))
	} else {
		s.now = s.start.Add(s.duration(d, "at", s.now.Sub(s.start)))
	}
	if d.Cmd == "class" {
		return s.class(d)
	}
	if s.q == nil {
		s.q = New[string](s.classes)
		s.q.Bound(func(lane int) bool { return !s.barred[lane] })
	}
	var out strings.Builder
	switch d.Cmd {
	case "push":
		s.push(d, &out)
	case "pop":
		s.pop(d, &out)
	case "block", "unblock", "shut", "open":
		for _, name := range names(d) {
			switch d.Cmd {
			case "block", "unblock":
				s.blocked[name] = d.Cmd == "block"
			default:
				s.closed[s.index(name)] = d.Cmd == "shut"
			}
		}
	case "bar", "unbar":
		for _, name := range names(d) {
			lane, err := strconv.Atoi(name)
			if err != nil {
				d.Fatalf(s.t, "%v", err)
			}
			s.barred[lane] = d.Cmd == "bar"
		}
	case "lane":
		s.sort(d)
	case "serve", "drain":
		s.serve(d, &out)
	case "fill":
		s.fill(d, &out)
	case "left", "answered":
		s.patience(d)
	case "remove":
		for _, name := range names(d) {
			fmt.Fprintf(&out, "%s: %v\n", name, s.q.Remove(s.waiters[name]))
		}
	case "charge":
		times, kind := 1, uint16(0)
		d.MaybeScanArgs(s.t, "times", &times)
		d.MaybeScanArgs(s.t, "kind", &kind)
		for range times {
			s.q.Charge(s.index(names(d)[0]), kind, s.duration(d, "held", 0))
		}
	case "expire":
		for w := s.q.Expire(s.now); w != nil; w = s.q.Expire(s.now) {
			fmt.Fprintf(&out, "%s: too late after %s", w.Value, s.now.Sub(w.Since()))
			if w.Late() != Waited {
				fmt.Fprintf(&out, " (%s)", w.Late())
			}
			fmt.Fprintln(&out)
		}
	case "again":
		var all []*Waiter[string]
		for w := s.q.Any(); w != nil; w = s.q.Any() {
			all = append(all, w)
		}
		for _, w := range all {
			s.q.Return(w)
		}
		fmt.Fprintf(&out, "%d\n", len(all))
	case "show":
		s.show(&out)
	case "pace":
		s.q.Advance(s.now)
		for i, c := range s.classes {
			p := s.q.Pace(i)
			fmt.Fprintf(&out, "%s: overloaded=%v newest=%v interval=%s target=%s bound=%s in-time=%s wait=%s\n", c.Name, p.Overloaded, p.Newest,
				p.Interval.Round(time.Millisecond), p.Target.Round(time.Millisecond), p.Bound.Round(time.Millisecond),
				p.InTime.Round(time.Millisecond), p.Wait.Round(time.Millisecond))
		}
	case "keep-order":
		s.q.KeepOrder(true)
	case "suspend", "resume":
		s.q.Suspend(d.Cmd == "suspend", s.now)
	case "owe":
		owed := names(d)
		s.q.Favour(func(class int) bool { return slices.Contains(owed, s.classes[class].Name) })
	default:
		d.Fatalf(s.t, "unknown command")
	}
	return out.String()
}

func (s *story) class(d *datadriven.TestData) string {
	c := Class{Name: names(d)[0], Weight: 1, MaxLength: 10, MaxShare: 1, Interactive: d.HasArg("interactive")}
	c.MaxWait = s.duration(d, "wait", time.Second)
	d.MaybeScanArgs(s.t, "weight", &c.Weight)
	d.MaybeScanArgs(s.t, "length", &c.MaxLength)
	s.classes = append(s.classes, c)
	return ""
}

func (s *story) push(d *datadriven.TestData, out *strings.Builder) {
	class := s.classes[0].Name
	d.MaybeScanArgs(s.t, "class", &class)
	for _, name := range names(d) {
		w := s.waiters[name]
		if w == nil || w.queued {
			w = &Waiter[string]{}
		}
		w.Value, w.Class, w.Urgent, w.Client, w.Lane, w.Kind = name, s.index(class), d.HasArg("urgent"), 0, Common, 0
		if d.HasArg("patient") {
			w.Lane = Patient
		}
		w.Patience = s.duration(d, "says", 0)
		d.MaybeScanArgs(s.t, "client", &w.Client)
		d.MaybeScanArgs(s.t, "lane", &w.Lane)
		d.MaybeScanArgs(s.t, "kind", &w.Kind)
		if reason := s.q.Push(w, s.now); reason != OK {
			fmt.Fprintf(out, "%s: %s\n", name, reason)
			s.waiters[name] = w
			continue
		}
		s.waiters[name] = w
		if w.Urgent {
			fmt.Fprintf(out, "%s: urgent\n", name)
		} else {
			fmt.Fprintf(out, "%s: %s %d\n", name, class, s.q.Waiting(w.Class))
		}
	}
}

func (s *story) pop(d *datadriven.TestData, out *strings.Builder) {
	n := 1
	d.MaybeScanArgs(s.t, "n", &n)
	s.q.Advance(s.now)
	var served []string
	for range n {
		w := s.q.Pop(func(class int) bool { return !s.closed[class] }, func(w *Waiter[string]) bool { return !s.blocked[w.Value] })
		if w == nil {
			served = append(served, "nobody")
			break
		}
		served = append(served, w.Value)
	}
	fmt.Fprintln(out, strings.Join(served, " "))
}

// sort has some waiters belong to another lane.
func (s *story) sort(d *datadriven.TestData) {
	var to uint8
	d.ScanArgs(s.t, "to", &to)
	moved := names(d)
	s.q.Sort(func(w *Waiter[string]) uint8 {
		if slices.Contains(moved, w.Value) {
			return to
		}
		return w.Lane
	})
}

// serve has a class served at a pace for a while, with a line that stays as long as it is.
func (s *story) serve(d *datadriven.TestData, out *strings.Builder) {
	n, class, every := 1, 0, s.duration(d, "every", time.Millisecond)
	d.ScanArgs(s.t, "n", &n)
	if arg, ok := d.Arg("class"); ok {
		class = s.index(arg.SingleVal(s.t))
	}
	for range n {
		s.now = s.now.Add(every)
		s.q.Advance(s.now)
		w := s.q.Pop(func(c int) bool { return c == class }, func(w *Waiter[string]) bool { return !s.blocked[w.Value] })
		if w == nil {
			fmt.Fprintln(out, "nobody")
			return
		}
		if d.Cmd == "drain" {
			continue
		}
		if reason := s.q.Push(&Waiter[string]{Value: "another", Class: class, Lane: w.Lane}, s.now); reason != OK {
			fmt.Fprintf(out, "another: %s\n", reason)
			return
		}
	}
}

func (s *story) fill(d *datadriven.TestData, out *strings.Builder) {
	n, in := 1, 0
	d.ScanArgs(s.t, "n", &n)
	for range n {
		if s.q.Push(&Waiter[string]{Value: "another", Class: s.index(names(d)[0])}, s.now) == OK {
			in++
		}
	}
	fmt.Fprintln(out, in)
}

// patience tells of clients that left or were answered.
func (s *story) patience(d *datadriven.TestData) {
	times, class, after := 1, s.index(names(d)[0]), s.duration(d, "after", time.Second)
	d.MaybeScanArgs(s.t, "times", &times)
	for range times {
		if d.Cmd == "left" {
			s.q.Left(class, after)
		} else {
			s.q.Answered(class, after, s.duration(d, "says", 0))
		}
	}
}

func (s *story) show(out *strings.Builder) {
	fmt.Fprintf(out, "all: %d\n", s.q.Len())
	for i, c := range s.classes {
		fmt.Fprintf(out, "%s: %d", c.Name, s.q.Waiting(i))
		if since, ok := s.q.Oldest(i); ok {
			fmt.Fprintf(out, " since %s", since.Sub(s.start))
		}
		fmt.Fprintln(out)
	}
}

func (s *story) index(class string) int {
	for i, c := range s.classes {
		if c.Name == class {
			return i
		}
	}
	s.t.Fatalf("no class %q", class)
	return 0
}

func (s *story) duration(d *datadriven.TestData, key string, otherwise time.Duration) time.Duration {
	arg, ok := d.Arg(key)
	if !ok {
		return otherwise
	}
	v, err := time.ParseDuration(arg.SingleVal(s.t))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	return v
}

// names are the arguments without a value, but for the words urgent, patient and interactive.
func names(d *datadriven.TestData) []string {
	var out []string
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 && a.Key != "urgent" && a.Key != "patient" && a.Key != "interactive" {
			out = append(out, a.Key)
		}
	}
	return out
}

// TestReadyIsByClass: who waits in a lane that is not open is held up, of whichever class, and the others of his class are not.
func TestReadyIsByClass(t *testing.T) {
	q := New[int]([]Class{{Name: "web", Weight: 1, MaxWait: time.Hour, MaxLength: 10, MaxShare: 1}, {Name: "job", Weight: 1, MaxWait: time.Hour, MaxLength: 10, MaxShare: 1}})
	for i, lane := range []uint8{Common, FirstOwn, FirstOwn + 1, FirstOwn, Common} {
		q.Push(&Waiter[int]{Class: i % 2, Lane: lane}, time.Unix(1, 0))
	}
	ready := make([]int, 2)
	if n := q.Ready(ready); n != 0 || ready[0] != 3 || ready[1] != 2 {
		t.Errorf("with every lane open %d are held up, %v are not", n, ready)
	}
	q.Bound(func(lane int) bool { return lane != FirstOwn })
	if n := q.Ready(ready); n != 2 || ready[0] != 3 || ready[1] != 0 {
		t.Errorf("with one lane shut %d are held up, %v are not; want 2, and 3 and 0", n, ready)
	}
	if n := q.Ready(nil); n != 2 {
		t.Errorf("%d are held up, want 2", n)
	}
}
