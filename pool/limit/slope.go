package limit

import "time"

// dither is Slope's state.
type dither struct{}

func (l *law) dithered(now time.Time, win *window) Reason { return "" }
