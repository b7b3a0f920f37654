package diagnosis

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"pgguard/proxy/sql"
)

// maxName is how much of a name of a stranger's a sentence shows: PostgreSQL itself keeps 63 bytes of one.
const maxName = 64

// shownAs is a stranger's text, fit to be shown, cut at most bytes.
func shownAs(text string, most int) string { return sql.Shown(text, most) }

// shown is a stranger's name, fit to be shown.
func shown(name string) string { return shownAs(name, maxName) }

// aWord is a name that reads as one word.
var aWord = regexp.MustCompile(`^[\pL\pN_.:#/@-]+$`)

// inQuotes is a name as a sentence has it: in quotes, unless it reads as one word.
func inQuotes(name string) string {
	if name == "" || aWord.MatchString(name) {
		return name
	}
	return `"` + name + `"`
}

// count is a number of things: 1 statement, 3 statements.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// verb is the form of a verb that goes with a number of things.
func verb(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// span is a time as a person says it: two digits, with one unit.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return digits(float64(d)/float64(time.Millisecond)) + " ms"
	case d < 2*time.Minute:
		return digits(d.Seconds()) + " s"
	case d < 2*time.Hour:
		return digits(d.Minutes()) + " min"
	case d < 48*time.Hour:
		return digits(d.Hours()) + " h"
	}
	return digits(d.Hours()/24) + " days"
}

// seconds is a number of seconds as a span.
func seconds(s float64) string { return span(time.Duration(s * float64(time.Second))) }

// digits is a number with one digit behind the point below ten, none from there on, and two that count below a tenth.
func digits(x float64) string {
	switch {
	case x >= 10:
		return strconv.Itoa(int(math.Round(x)))
	case x < 0.1 && x > 0:
		return strconv.FormatFloat(x, 'g', 2, 64)
	}
	return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
}

// percent is a part of a whole.
func percent(x float64) string { return strconv.Itoa(int(math.Round(100*x))) + " %" }

// clock is a time of day.
func clock(t time.Time) string { return t.Format("15:04:05") }

// fingerprint is one as it is shown everywhere.
func fingerprint(x uint64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", x)
}
