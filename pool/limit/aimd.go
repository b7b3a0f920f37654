package limit

// AIMD holds the median slowdown of statements, each compared with itself, at a goal, and finds the goal by small
// experiments: what does less concurrency cost?
type AIMD struct{ law }

// NewAIMD returns the law at its first limit.
func NewAIMD(c Config) *AIMD { return &AIMD{newLaw(c)} }
