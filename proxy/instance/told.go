package instance

import (
	"sync/atomic"
	"time"
)

// told is what sessions tell an instance without waiting for one another; its control loop takes it four times a second.
type told struct {
	answered, raised atomic.Int64
	took             atomic.Int64 // nanoseconds of the last that was answered
}

// Ended notes the end of a statement; raised: it ended with the error of a broken server, which it may have raised by itself. It waits for
// nobody.
func (in *Instance) Ended(raised bool, took time.Duration) {
	if raised {
		in.told.raised.Add(1)
		return
	}
	in.told.answered.Add(1)
	in.told.took.Store(int64(took))
}
