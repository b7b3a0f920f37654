package diagnosis

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"pgguard/pool/event"
)

// limitWords say why the limit moved, by the cause of the event.
var limitWords = map[string]string{
	"growing":           "more at once has brought more work so far",
	"slower_than_goal":  "statements have become slower than is worth it",
	"faster_than_goal":  "statements are fast, so that there is room",
	"brake":             "statements became much slower within a second",
	"cut_again":         "the last cut cost no work, so that there is more to cut",
	"not_our_load":      "the cut cost as much work as it took: the slowness is not this guard's doing",
	"knee_found":        "less costs work, more brings none",
	"experiment":        "to see what concurrency is worth",
	"experiment_ended":  "that experiment has ended",
	"internal_locks":    "sessions wait for each other inside PostgreSQL",
	"beside_others":     "other guards are there already",
	"headroom":          "nobody has needed that much lately",
	"cap":               "fewer connections are allowed",
	"database_was_down": "the database was down: small again",
	"floor":             "it must not become smaller",
}

// breakerWords say why the breaker moved.
var breakerWords = map[string]string{
	"dials":    "logins fail and none works",
	"errors":   "most statements end with an error of a broken server",
	"stall":    "no statement ends, and no question is answered",
	"canary":   "a question was not answered",
	"waited":   "it is time to try again",
	"answered": "questions are answered again",
	"ramp":     "the way back goes on",
}

// Decision is an event as a sentence. Its subject may be text of strangers, fit to be shown.
func Decision(e *event.Event) string {
	would := ""
	if e.Mode == event.Observe && e.Kind != event.Verdict {
		would = " (only reported: mode observe)"
	}
	subject := shownSubject(e.Subject)
	switch e.Kind {
	case event.Limit:
		return fmt.Sprintf("The limit goes from %s to %s: %s%s.", e.From, e.To, whyLimit(e), would)
	case event.Breaker:
		return fmt.Sprintf("The breaker of %s goes from %s to %s: %s%s.", subject, e.From, e.To, known(breakerWords, e.Cause), would)
	case event.Reap:
		return reaped(e, subject) + would + "."
	case event.Class:
		if e.To == "overloaded" {
			return fmt.Sprintf("The line of class %s stands: who has waited longest is served last, and no longer than his client waits%s.", subject, would)
		}
		return fmt.Sprintf("The line of class %s moves again%s.", subject, would)
	case event.Print:
		if e.To == "free" {
			return fmt.Sprintf("%s may run as often as others again%s.", capital(subject), would)
		}
		return fmt.Sprintf("%s may run %s times at once, as %s of %s wait for a lock%s.", capital(subject), e.To, number(e, "blocked"), number(e, "running"), would)
	case event.Server:
		return fmt.Sprintf("Another server answers at %s: %s where it was %s; %s connections were let go.", subject, e.To, e.From, number(e, "servers_retired"))
	case event.Operate:
		if e.By == event.ByPage {
			return fmt.Sprintf("Somebody with the token said %s to %s on the dashboard.", strings.ToUpper(e.Cause), subject)
		}
		return fmt.Sprintf("%s said %s to %s in the console.", shownSubject(e.By), strings.ToUpper(e.Cause), subject)
	case event.Setting:
		return settingSentence(e, subject)
	case event.Secret:
		return fmt.Sprintf("The password for %s cannot be had: upstream_password.%s fails. Logins that failed for it: %s.", subject, e.Cause, number(e, "logins_failed"))
	case event.Verdict:
		return fmt.Sprintf("The verdict on %s is: %s (it was: %s).", subject, State(e.To).String(), State(e.From).String())
	}
	return fmt.Sprintf("%s %s: %s -> %s (%s).", e.Kind, subject, e.From, e.To, e.Cause)
}

// whyLimit says why the limit moved, with what was measured.
func whyLimit(e *event.Event) string {
	from, _ := strconv.ParseFloat(e.From, 64)
	to, _ := strconv.ParseFloat(e.To, 64)
	elasticity, has := value(e, "elasticity")
	if e.Cause == "growth_ended" {
		if has && from > to && to > 0 {
			return fmt.Sprintf("raising it there gained %s of work", percent(math.Pow(from/to, elasticity)-1))
		}
		return "raising it brought too little"
	}
	text := known(limitWords, e.Cause)
	if slow, has := value(e, "slowdown"); has && slow > 0.05 {
		text += fmt.Sprintf(" (they take %s times as long as alone)", digits(math.Exp(slow)))
	}
	return text
}

// reaped says what was ended.
func reaped(e *event.Event, subject string) string {
	if e.Cause == "culprit_gone" {
		return fmt.Sprintf("Who held up the others is gone: before %s for locks, now %s", e.From, e.To)
	}
	idle, _ := value(e, "idle_seconds")
	text := fmt.Sprintf("A transaction of class %s that had done nothing for %s was rolled back", subject, seconds(idle))
	if n, _ := value(e, "blocks"); n > 0 {
		text += fmt.Sprintf("; %s waited for its locks", count(int(n), "statement"))
	} else if pressed, _ := value(e, "pressed_seconds"); pressed > 0 {
		text += fmt.Sprintf("; others had waited for %s", seconds(pressed))
	}
	return text
}

// known is what a word stands for, else the word.
func known(words map[string]string, word string) string {
	if text, has := words[word]; has {
		return text
	}
	return word
}

// maxSubject is how much of a subject is shown: what a statement is called is the longest.
const maxSubject = 200

func shownSubject(text string) string { return shownAs(text, maxSubject) }

// value is one number of an event's evidence.
func value(e *event.Event, name string) (float64, bool) {
	for i := range e.Evidence.Len() {
		if n := e.Evidence.At(i); n.Name == name {
			return n.Value, true
		}
	}
	return 0, false
}

// number is one as a text.
func number(e *event.Event, name string) string {
	x, has := value(e, name)
	if !has {
		return "some"
	}
	return digits(x)
}

// settingSentence tells of a key of the configuration.
func settingSentence(e *event.Event, key string) string {
	if e.Cause == "refused" {
		return fmt.Sprintf("%s asked for a configuration that cannot be: nothing has changed.", shownSubject(e.By))
	}
	return fmt.Sprintf("%s has changed %s: %s (it was: %s).", shownSubject(e.By), key, e.To, e.From)
}
