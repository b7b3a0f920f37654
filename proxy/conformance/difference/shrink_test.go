package difference

import (
	"slices"
	"time"
)

// shrinkFor bounds the time to make scripts smaller.
const shrinkFor = time.Minute

// shrink leaves out of the scripts what it can while fails stays true, until end. found is whether fails was ever true.
func shrink(all []script, end time.Time, fails func([]script) bool) (small []script, found bool) {
	if !fails(all) {
		return all, false
	}
	for {
		before := len(format(all))
		last := all[len(all)-1]
		all = append(shorten(all[:len(all)-1], end, func(rest []script) bool {
			return fails(append(slices.Clone(rest), last))
		}), last)
		for i := len(all) - 1; i >= 0; i-- {
			all[i] = all[i].shrink(end, func(s script) bool {
				some := slices.Clone(all)
				some[i] = s
				return fails(some)
			})
		}
		if len(format(all)) == before || time.Now().After(end) {
			return all, true
		}
	}
}

// shrink leaves out of one script what it can.
func (s script) shrink(end time.Time, fails func(script) bool) script {
	with := func(steps []step) script {
		other := s
		other.steps = steps
		return other
	}
	s.steps = shorten(s.steps, end, func(steps []step) bool { return fails(with(steps)) })
	for i := range s.steps {
		s.steps[i].messages = shorten(s.steps[i].messages, end, func(ms []message) bool {
			steps := slices.Clone(s.steps)
			steps[i].messages = ms
			return fails(with(steps))
		})
		if s.steps[i].cut > 0 && time.Now().Before(end) {
			steps := slices.Clone(s.steps)
			steps[i].cut = 0
			if fails(with(steps)) {
				s.steps = steps
			}
		}
	}
	if options := s.options; len(options) > 0 && time.Now().Before(end) {
		if s.options = nil; !fails(s) {
			s.options = options
		}
	}
	return s
}

// shorten leaves out pieces of list, large ones first, while fails stays true of what is left.
func shorten[T any](list []T, end time.Time, fails func([]T) bool) []T {
	for size := max(1, len(list)/2); size >= 1; size /= 2 {
		for from := 0; from < len(list) && time.Now().Before(end); {
			rest := slices.Concat(list[:from], list[min(len(list), from+size):])
			if fails(rest) {
				list = rest
			} else {
				from += size
			}
		}
	}
	return list
}
