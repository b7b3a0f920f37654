package dashboard

// What is kept of each database, and of how many: 15 minutes of seconds and a day of minutes, 2,340 points of 164 bytes, which is 375 KiB for each
// and 3 MiB for the most that are kept.
const (
	seconds      = 15 * 60
	minutes      = 24 * 60
	maxDatabases = 8
)

// ring is the last points of a fixed number. The zero value cannot be used.
type ring struct {
	points []Point
	n      int // that were added
}

func newRing(size int) ring { return ring{points: make([]Point, size)} }

func (r *ring) add(p Point) {
	r.points[r.n%len(r.points)] = p
	r.n++
}

// last returns the last n points, or as many as there are, oldest first. They are copies.
func (r *ring) last(n int) []Point {
	n = min(n, r.n, len(r.points))
	out := make([]Point, 0, n)
	for i := r.n - n; i < r.n; i++ {
		out = append(out, r.points[i%len(r.points)])
	}
	return out
}

// history is what is kept of one database.
type history struct {
	name            string
	seconds, minute ring
	open            int // points of the minute that has not ended
}

func newHistory(name string) *history {
	return &history{name: name, seconds: newRing(seconds), minute: newRing(minutes)}
}

// add takes in one second.
func (h *history) add(p Point) {
	if last := h.seconds.last(1); len(last) > 0 && last[0].At/60 != p.At/60 && h.open > 0 {
		m := mean(h.seconds.last(min(h.open, seconds)))
		m.At = last[0].At / 60 * 60
		h.minute.add(m)
		h.open = 0
	}
	h.seconds.add(p)
	h.open++
}

// around returns the points of so many seconds before and after a time; nil if they are not there, or not yet.
func (h *history) around(at int64, n int64) (before, after []Point) {
	for _, p := range h.seconds.last(seconds) {
		switch d := p.At - at; {
		case d < 0 && d >= -n:
			before = append(before, p)
		case d > 0 && d <= n:
			after = append(after, p)
		}
	}
	if int64(len(before)) < n/2 || int64(len(after)) < n-1 {
		return nil, nil
	}
	return before, after
}
