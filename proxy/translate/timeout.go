package translate

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// haste says what timeouts mean for the queries that the guard runs ahead of a client's statement.
type haste uint8

const (
	unhurried haste = iota // no timeout is set
	patient                // those set are long enough
	hasty                  // one may end them
)

// hastyBelow is how short a timeout must be, in milliseconds, to be feared: what the guard runs takes one, and a thousand times that
// where a thousand processes want the processor.
const hastyBelow = 1000

// hasteOf is that of a setting. A timeout that is not understood is feared.
func hasteOf(name, value string) haste {
	if name != "statement_timeout" && name != "transaction_timeout" {
		return unhurried
	}
	if ms := timeoutOf(value); ms == never || ms >= hastyBelow {
		return patient
	}
	return hasty
}

// never is a timeout of none, which is written as 0.
const never = -1

// timeoutUnits are those of a start-up packet, in milliseconds; pg_settings has none.
var timeoutUnits = map[string]float64{"": 1, "us": 1e-3, "ms": 1, "s": 1e3, "min": 60e3, "h": 3600e3, "d": 86400e3}

// timeoutOf reads a timeout in the units of pg_settings or of a start-up packet, as PostgreSQL rounds it: milliseconds, never, or 0 where it is not understood.
func timeoutOf(value string) int32 {
	value = strings.TrimSpace(value)
	digits := len(value) - len(strings.TrimLeft(value, "0123456789."))
	n, err := strconv.ParseFloat(value[:digits], 64)
	unit, known := timeoutUnits[strings.TrimSpace(value[digits:])]
	switch ms := math.RoundToEven(n * unit); {
	case err != nil || !known || ms > math.MaxInt32:
		return 0
	case ms == 0:
		return never
	default:
		return int32(ms)
	}
}

// Patience is how long the client lets a statement take by its own statement_timeout, 0 if it has not said. What a role or a database
// has for all is not known here.
func (c *Client) Patience() time.Duration {
	t := c.settings.timeout
	if t == 0 {
		t = c.timeout
	}
	return max(0, time.Duration(t)) * time.Millisecond
}
