package instance

import (
	"sync/atomic"
	"time"
)

// told is what sessions tell an instance without waiting for one another; its control loop takes it four times a second.
type told struct {
	answered, broken atomic.Int64
	took             atomic.Int64 // nanoseconds of the last that was answered
}

// Ended notes the end of a statement; broken: an error of the server's machinery ended it. It waits for nobody.
func (in *Instance) Ended(broken bool, took time.Duration) {
	if broken {
		in.told.broken.Add(1)
		return
	}
	in.told.answered.Add(1)
	in.told.took.Store(int64(took))
}
