package event

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Kind says what an event is about. It is a word of a closed set, fit for a metric's label.
type Kind string

// The kinds.
const (
	Limit   Kind = "limit"   // the run limit L changed
	Cap     Kind = "cap"     // the cap H changed
	Breaker Kind = "breaker" // the breaker changed its state, From and To are states
	Reap    Kind = "reap"    // an idle transaction was ended
	Class   Kind = "class"   // the line of a class began to stand, or moves again
	Print   Kind = "print"   // a fingerprint was bounded or set free
	Verdict Kind = "verdict" // what is wrong has changed, From and To are states
	Server  Kind = "server"  // another server answers at the same address
	Operate Kind = "operate" // an operator did something
	Setting Kind = "setting" // a key of the configuration changed, or could not
	Secret  Kind = "secret"  // the password of an upstream cannot be had: its program or its file fails
)

// Mode says whether the thing was done.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // done
	Observe Mode = "observe" // would have been done
)

// ByPage is the operator of an event who used the pages: whoever knows the token.
const ByPage = "(the dashboard)"

// MaxNumbers bounds the evidence of one event: a line in a log that a person still reads. It keeps an event of a fixed
// size, so that the ring never grows and adding copies instead of allocating.
const MaxNumbers = 10

// Number is one piece of evidence. The name carries its unit, as in wait_seconds.
type Number struct {
	Name  string
	Value float64
}

// Evidence holds up to MaxNumbers numbers, in the order they were given. The zero value is empty.
type Evidence struct {
	n       int
	numbers [MaxNumbers]Number
}

// With returns the evidence with one number more; beyond MaxNumbers it is left out.
func (e Evidence) With(name string, value float64) Evidence {
	if e.n < MaxNumbers {
		e.numbers[e.n] = Number{name, value}
		e.n++
	}
	return e
}

// Of returns the evidence made of the first MaxNumbers numbers, copied.
func Of(numbers ...Number) Evidence {
	var e Evidence
	e.n = copy(e.numbers[:], numbers)
	return e
}

// Len is how many numbers there are.
func (e *Evidence) Len() int { return e.n }

// At returns the number in place i, below Len.
func (e *Evidence) At(i int) Number { return e.numbers[:e.n][i] }

// MarshalJSON writes an object of the numbers in their order. What JSON has no word for, an infinity or not a number, is
// null: one bad quotient must not keep a whole list of events from being read.
func (e Evidence) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 32*MaxNumbers), '{')
	for i, n := range e.numbers[:e.n] {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(n.Name)
		if err != nil {
			return nil, err
		}
		out = append(append(out, name...), ':')
		if math.IsNaN(n.Value) || math.IsInf(n.Value, 0) {
			out = append(out, "null"...)
			continue
		}
		out = strconv.AppendFloat(out, n.Value, 'g', -1, 64)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote; null is not a number.
func (e *Evidence) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	*e = Evidence{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		value := math.NaN()
		if err := d.Decode(&value); err != nil {
			return err
		}
		word, _ := name.(string) // a key of an object is nothing else
		*e = e.With(word, value)
	}
	return nil
}

// Event is one decision. Its strings are words of the guard, never text of a client but for what a statement is called: its first table and
// the tags of its comment.
type Event struct {
	Seq      uint64    `json:"seq"` // set by Ring.Add: 1, 2, 3…
	Time     time.Time `json:"time"`
	Kind     Kind      `json:"kind"`
	Subject  string    `json:"subject,omitempty"`  // the class, the instance or the statement concerned; may be empty
	Database string    `json:"database,omitempty"` // the instance that it was decided for; empty: for all, or it is no decision
	Query    string    `json:"query,omitempty"`    // the text of the statement concerned, without literals, where texts may be shown; in no log and no file
	Cause    string    `json:"cause"`
	Evidence Evidence  `json:"evidence"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Mode     Mode      `json:"mode"`
	By       string    `json:"by,omitempty"` // the operator, if it was one
}
