package scenario

import (
	"time"

	"pgguard/bench/load"
)

// recoveredShare of the earlier goodput is recovery. The rest is left to the noise of counting for one second.
const recoveredShare = 0.9

// RecoveryTime returns how long after the start of ticks the first whole second begins that holds recoveredShare of
// perSecond useful answers, and whether there is one. ticks are useful answers per load.Tick.
func RecoveryTime(ticks []int64, perSecond float64) (time.Duration, bool) {
	return recoveryTime(ticks, perSecond, time.Second)
}

// recoveryTime is RecoveryTime with a stretch of another length than a second.
func recoveryTime(ticks []int64, perSecond float64, hold time.Duration) (time.Duration, bool) {
	window := int(hold / load.Tick)
	var sum int64
	for i, n := range ticks {
		sum += n
		if i >= window {
			sum -= ticks[i-window]
		}
		if i >= window-1 && float64(sum) >= recoveredShare*perSecond*hold.Seconds() {
			return time.Duration(i-window+1) * load.Tick, true
		}
	}
	return 0, false
}

// between returns the ticks from from to to.
func between(ticks []int64, line load.Timeline, from, to time.Time) []int64 {
	i := int(from.Sub(line.Start) / load.Tick)
	j := int(to.Sub(line.Start) / load.Tick)
	return ticks[min(i, len(ticks)):min(j, len(ticks))]
}
