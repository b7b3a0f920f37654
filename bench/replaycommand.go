package bench

import "pgguard/bench/scenario"

// replayCommand measures targets with the load of a log.
type replayCommand struct {
	measureFlags
	scenario.Replay
}

// Run is called by the parser.
func (c *replayCommand) Run(s *session) error { return c.measure(s, c.Replay) }
