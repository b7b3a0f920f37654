package limit

import "time"

// Config is what a law is told. The zero value is a law that needs no number from anybody.
type Config struct {
	// First is the limit it starts with; 0 is Tuning.Start.
	First int
	// Tuning are the law's constants; nil is Defaults. Only the simulator changes them, to see how much they matter.
	Tuning *Tuning
}

// Tuning are the constants of the law that move what it does. Those that do not, halved or doubled, stand as constants beside the code that
// uses them. DESIGN.md says where those come from that were not found in the simulator (`make sim`); bench/sim/NOTES.md has a
// table of each halved and doubled alone.
type Tuning struct {
	Start  float64 // first limit: a small server's best, and a large one is six doublings away at most
	Floor  float64 // least limit: an experiment needs two sizes
	Busy   float64 // what a small server needs to be busy; below it only once experiments have disproved it twice
	Growth float64 // factor of a step while growing
	Paid   float64 // e, less its error, from which a step up has paid and the next follows

	Price float64 // theta: work in percent that a percent of concurrency must bring
	Proof float64 // errors by which e must be below Price for the limit to go down
	Rise  float64 // most that one window raises the limit
	Fall  float64 // most that one window lowers it
	Reach float64 // most that the limit is pulled, in ln L, from one experiment to the next
	Pull  float64 // part of the distance to the goal that one window goes

	Dip      float64       // concurrency left in an experiment; much more cannot be told from noise, much less costs
	Every    time.Duration // between experiments while they teach something
	Rarely   time.Duration // between experiments while they do not
	Gain     float64       // step of ln L for the distance of e from Price
	Sure     float64       // standard error of e up to which an experiment goes on, within 4 s
	Worth    float64       // e from which concurrency is nearly free: grow, and after a brake: restore
	Free     float64       // e up to which a cut has cost nothing
	Surprise float64       // distance of R from its goal, in one window, that calls for an experiment
	Drifted  float64       // the same of its average over some seconds

	Brake float64 // slowdown, as a factor over the goal, that brakes
	Cut   float64 // concurrency left by a brake

	Bound  float64 // share of a window in which the limit must have bound for the window to count
	Window float64 // completions in a window, at least

	// NoBrake (whatever answers sudden slowness at once), NoVerify and NoProbe leave a part of the law out, for the
	// simulator's mutants and for who only looks on.
	NoBrake, NoVerify, NoProbe bool
}

// Defaults are the constants that ship.
func Defaults() Tuning {
	return Tuning{
		Start: 8, Floor: 2, Busy: 4, Growth: 2, Paid: 0.1,
		Price: 0.04, Proof: 1, Rise: 0.05, Fall: 0.10, Pull: 0.4, Reach: 0.2,
		Dip: 0.7, Every: 5 * time.Second, Rarely: 200 * time.Second, Gain: 1, Sure: 0.2, Worth: 0.5, Free: 0.10, Surprise: 0.4, Drifted: 0.2,
		Brake: 2, Cut: 0.7,
		Bound: 0.8, Window: 100,
	}
}
