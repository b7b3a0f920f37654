package bench

import (
	"os"
	"os/signal"
	"syscall"

	"pgguard/bench/sim"
)

// simCommand needs no server: everything is simulated, in virtual time.
type simCommand struct {
	Seeds    int    `default:"5" help:"Seeds for each scenario; their least and median are shown."`
	Scenario string `placeholder:"TEXT" help:"Only scenarios whose name contains this."`
	Robust   bool   `help:"Also halve and double each constant of the law."`
	Trace    bool   `help:"Show every change of the limit with its evidence, for --seeds as the seed, instead of the tables."`
	Workers  int    `default:"1" help:"Scenarios at once."`
	Best     string `placeholder:"FILE" help:"Where the best static limits are kept between runs; they are swept anew without it."`
}

// Run is called by the parser.
func (c *simCommand) Run(s *session) error {
	signal.Reset(os.Interrupt, syscall.SIGTERM) // they end it at once: there is nothing to tidy up, and what is computed does not look up for minutes
	if err := s.ctx.Err(); err != nil {
		return err
	}
	bests, err := sim.LoadBests(c.Best)
	if err != nil {
		return err
	}
	r := sim.Run{Seeds: max(1, c.Seeds), Match: c.Scenario, Robust: c.Robust, Workers: c.Workers, Bests: bests}
	if c.Trace {
		r.TraceAll(s.stdout, uint64(r.Seeds))
	} else {
		r.WriteTables(s.stdout)
	}
	if c.Best == "" {
		return nil
	}
	return bests.Save(c.Best)
}
