package dashboard

import (
	"math"

	"pgguard/pool"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/witness"
)

// MaxClasses is how many classes of work are drawn; further ones are added to the last.
const MaxClasses = 8

// Point is one second of one database, or the mean of a minute. It has a fixed size, so that the history has, too.
type Point struct {
	At      int64 // Unix time, seconds
	State   uint8 // place in diagnosis.States; of a minute: the worst
	Waits   [waits]float32
	Running float32
	Limit   float32
	Cap     float32
	Cores   float32 // of the machine, if the guard can see them; 0: not known
	Queue   [MaxClasses]float32
	Good    [MaxClasses]float32 // exchanges finished a second
	P99     [MaxClasses]float32 // seconds; of a minute: of its worst second; 0: nothing finished
	Refused float32             // a second
}

// What statements wait for, in the order of Point.Waits; the last are statements of others.
const (
	onCPU = iota
	onIO
	onLWLock
	onLock
	onClient
	onOther
	ofOthers
	waits
)

// point is what a frame shows of one database. was is the frame before; nil: there is none.
func point(f, was *witness.Frame, s *diagnosis.Sight, state diagnosis.State) Point {
	p := Point{At: f.At.Unix(), Running: float32(s.Running), Limit: float32(s.Limit), Cap: float32(s.Cap), Cores: float32(s.Machine.Cores)}
	for i, known := range diagnosis.States {
		if known == state {
			p.State = uint8(i)
		}
	}
	w := s.Waits
	for i, n := range [waits]int{w.CPU, w.IO, w.LWLock, w.Lock, w.Client, w.Other, s.Foreign + s.Peers} {
		p.Waits[i] = float32(n)
	}
	for i := range s.Classes {
		p.Queue[min(i, MaxClasses-1)] += float32(s.Classes[i].Waiting)
	}
	if was == nil {
		return p
	}
	seconds := max(0.1, f.At.Sub(was.At).Seconds())
	for i := range s.Classes {
		k, name := min(i, MaxClasses-1), s.Classes[i].Name
		now, before := f.Stats.QueryTime[name], was.Stats.QueryTime[name]
		p.Good[k] += float32(float64(now.Count-min(now.Count, before.Count)) / seconds)
		p.P99[k] = max(p.P99[k], float32(quantile(before, now, 0.99)))
	}
	for of, n := range f.Stats.Refusals {
		p.Refused += float32(float64(n-min(n, was.Stats.Refusals[of])) / seconds)
	}
	return p
}

// quantile is that of what a histogram has counted since before, in seconds; 0 if that is nothing.
func quantile(before, now pool.Buckets, q float64) float64 {
	if len(before.Counts) != len(now.Counts) {
		before = pool.Buckets{Counts: make([]uint64, len(now.Counts))}
	}
	n := now.Count - min(now.Count, before.Count)
	if n == 0 {
		return 0
	}
	want := q * float64(n)
	low, under := 0.0, 0.0
	for i, bound := range now.Bounds {
		upto := float64(now.Counts[i] - min(now.Counts[i], before.Counts[i]))
		if upto >= want {
			if upto == under || low == 0 {
				return bound
			}
			// Within a bucket times are taken to be spread evenly by their logarithm.
			return low * math.Exp(math.Log(bound/low)*(want-under)/(upto-under))
		}
		low, under = bound, upto
	}
	return low
}

// mean is the point that stands for many, in order, none of which is missing: a minute.
func mean(points []Point) Point {
	out := Point{At: points[0].At, State: uint8(len(diagnosis.States) - 1)}
	n := float32(len(points))
	for i := range points {
		p := &points[i]
		out.State = min(out.State, p.State)
		out.Running, out.Limit, out.Cap, out.Cores = out.Running+p.Running/n, out.Limit+p.Limit/n, out.Cap+p.Cap/n, p.Cores
		out.Refused += p.Refused / n
		for k := range p.Waits {
			out.Waits[k] += p.Waits[k] / n
		}
		for k := range p.Queue {
			out.Queue[k], out.Good[k] = out.Queue[k]+p.Queue[k]/n, out.Good[k]+p.Good[k]/n
			out.P99[k] = max(out.P99[k], p.P99[k])
		}
	}
	return out
}

// row is the point as the page reads it: numbers in one fixed order, as short as they are true.
func (p *Point) row(classes int) []float64 {
	out := make([]float64, 0, 8+waits+3*classes)
	out = append(out, float64(p.At), float64(p.State), short(p.Running), short(p.Limit), short(p.Cap), short(p.Cores), short(p.Refused))
	for _, x := range p.Waits {
		out = append(out, short(x))
	}
	for i := range classes {
		out = append(out, short(p.Queue[i]))
	}
	for i := range classes {
		out = append(out, short(p.Good[i]))
	}
	for i := range classes {
		out = append(out, short(p.P99[i]))
	}
	return out
}

// short is a number with three digits that count, for fewer bytes.
func short(x float32) float64 {
	if x == 0 {
		return 0
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(float64(x)))))
	if scale < 1 {
		return math.Round(float64(x))
	}
	return math.Round(float64(x)*scale) / scale
}
