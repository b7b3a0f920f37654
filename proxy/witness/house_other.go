//go:build !linux

package witness

import (
	"time"

	"pgguard/proxy/diagnosis"
)

// reading is nothing: only on Linux it is known where to look.
type reading struct{ throttled uint64 }

// processorTime is not known.
func processorTime() time.Duration { return 0 }

func readMachine(bool, *reading) reading { return reading{} }

func (r *reading) since(*reading, float64) diagnosis.Machine { return diagnosis.Machine{} }
