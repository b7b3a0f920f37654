package bench

import "pgguard/bench/scenario"

// scenarioCommands are the scenarios of one kind of trouble each, and the healthy ones.
type scenarioCommands struct {
	Convoy     convoyCommand     `cmd:"" help:"Many workers write one row, beside readers."`
	Storm      stormCommand      `cmd:"" help:"Clients connect, ask and leave for ever, beside steady ones."`
	Siege      siegeCommand      `cmd:"" help:"Strangers who do not log in, or guess passwords, beside clients who work."`
	Neighbours neighboursCommand `cmd:"" help:"Bulk workers with long statements beside a web of short ones."`
	Restart    restartCommand    `cmd:"" help:"PostgreSQL is restarted under clients with short transactions."`
	Overload   overloadCommand   `cmd:"" help:"Goodput under deadlines from 1 to 40 knees, and after a trigger."`
	Sweep      sweepCommand      `cmd:"" help:"A workload at one frozen size after another: where is the knee?"`
	Mixed      mixedCommand      `cmd:"" help:"Healthy: short statements and a few long reports."`
	Diurnal    diurnalCommand    `cmd:"" help:"Healthy: load that rises and falls as over a day."`
}

// scenarioList describes them as list does.
const scenarioList = `convoy      200 workers write one row, beside readers: what do the readers and the writers get
storm       500 clients connect, ask and leave for ever: what do steady clients get, and how many logins are there
siege       7,000 connections that do not log in and 500 wrong logins a second: what do working clients get, and is all given back
neighbours  200 bulk workers with long statements beside a web of short ones: what do both get
restart     PostgreSQL is restarted under 50 clients: for how long is there no answer, and who sees an error
overload    clients with a deadline from 1 to 40 knees, then a trigger: does goodput stay flat, and does it come back
sweep       a workload at frozen limits and pool sizes from 1 to 64: where is the knee, and which size is best
mixed       healthy short statements and 0.1 % of reports of seconds: does a guard find fault with it
diurnal     healthy load from 0 to 60 % to 5 % of capacity: does a guard find fault with it
`

type (
	convoyCommand struct {
		scenario.Convoy `embed:""`
	}
	stormCommand struct {
		scenario.Storm `embed:""`
	}
	siegeCommand struct {
		scenario.Siege `embed:""`
	}
	neighboursCommand struct {
		scenario.Neighbours `embed:""`
	}
	restartCommand struct {
		scenario.Restart `embed:""`
	}
	overloadCommand struct {
		scenario.Overload `embed:""`
	}
	sweepCommand struct {
		scenario.Sweep `embed:""`
	}
	mixedCommand struct {
		scenario.Mixed `embed:""`
	}
	diurnalCommand struct {
		scenario.Diurnal `embed:""`
	}
)

// Run is called by the parser.
func (c *convoyCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Convoy) }

// Run is called by the parser.
func (c *stormCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Storm) }

// Run is called by the parser.
func (c *siegeCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Siege) }

// Run is called by the parser.
func (c *neighboursCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Neighbours) }

// Run is called by the parser.
func (c *restartCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Restart) }

// Run is called by the parser.
func (c *overloadCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Overload) }

// Run is called by the parser.
func (c *sweepCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Sweep) }

// Run is called by the parser.
func (c *mixedCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Mixed) }

// Run is called by the parser.
func (c *diurnalCommand) Run(s *session, r *runCommand) error { return r.measure(s, c.Diurnal) }
