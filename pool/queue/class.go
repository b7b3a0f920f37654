package queue

import "time"

// Class says how one kind of work waits.
type Class struct {
	Name string
	// Weight is the class's share of slot-seconds when every class has work waiting; at least 1.
	Weight int
	// MaxWait bounds one wait; who has waited longer is refused. Must be positive.
	MaxWait time.Duration
	// MaxLength bounds how many wait at once; one more is refused at once. Must be positive.
	MaxLength int
	// MaxShare is the part of the cap, above 0 up to 1, that this class may hold as slots. Below 1 it keeps room for
	// the others when this class's transactions sit idle.
	MaxShare float64
	// Interactive is for work that somebody waits for at a screen: who would be served too late, after MaxWait or when clients of the class have
	// been seen to leave, is told so at once, and the newest is served first where the oldest are too late already. False is for
	// work that can wait: first come, first served, until MaxWait.
	Interactive bool
}
