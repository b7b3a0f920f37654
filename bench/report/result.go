package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Figure is one number of one run. Names are the same for every target of a scenario, so that they can be set side by side.
type Figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
}

// Series is a curve of one run: Y in Unit over X in XUnit. X and Y have the same length.
type Series struct {
	Name  string    `json:"name"`
	Unit  string    `json:"unit"`
	XUnit string    `json:"x_unit"`
	X     []float64 `json:"x"`
	Y     []float64 `json:"y"`
}

// PerSecond returns a series with one value a second, starting at second zero. It keeps y.
func PerSecond(name, unit string, y []float64) Series {
	x := make([]float64, len(y))
	for i := range x {
		x[i] = float64(i)
	}
	return Series{Name: name, Unit: unit, XUnit: "s", X: x, Y: y}
}

// Phase is a named part of a run; From and To are seconds since its start.
type Phase struct {
	Name string  `json:"name"`
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// Trouble marks the part in which something is wrong on purpose; charts shade it.
	Trouble bool `json:"trouble,omitempty"`
}

// Run is what one scenario measured on one target, once.
type Run struct {
	Target  string    `json:"target"`
	Repeat  int       `json:"repeat"`
	Started time.Time `json:"started"`
	// Zero is the moment from which phases and series count their seconds; the zero time is Started.
	Zero time.Time `json:"zero,omitzero"`
	// Of and Size are set in a sweep: the target without its size, and the size it was frozen at.
	Of      string   `json:"of,omitempty"`
	Size    int      `json:"size,omitempty"`
	Seed    uint64   `json:"seed"`
	Figures []Figure `json:"figures"`
	Series  []Series `json:"series,omitempty"`
	Phases  []Phase  `json:"phases,omitempty"`
	// Errors counts failed requests by "phase class label"; a label is an SQLSTATE or one of package load's.
	Errors map[string]int64 `json:"errors,omitempty"`
	// CalibrationBefore and CalibrationAfter are rounds of a fixed loop per second, on one core.
	CalibrationBefore float64 `json:"calibration_before"`
	CalibrationAfter  float64 `json:"calibration_after"`
	// Drift is CalibrationAfter / CalibrationBefore - 1.
	Drift float64 `json:"drift"`
	// Doubts names why the run should not be trusted; empty is a good run.
	Doubts []string `json:"doubts,omitempty"`
}

// Add appends a figure.
func (r *Run) Add(name, unit string, value float64) {
	r.Figures = append(r.Figures, Figure{Name: name, Unit: unit, Value: value})
}

// Value returns the figure of that name and whether the run has it.
func (r *Run) Value(name string) (float64, bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value, true
		}
	}
	return 0, false
}

// Curve returns the series of that name and whether the run has it.
func (r *Run) Curve(name string) (Series, bool) {
	for _, s := range r.Series {
		if s.Name == name {
			return s, true
		}
	}
	return Series{}, false
}

// File is every run of one command.
type File struct {
	Scenario string    `json:"scenario"`
	Command  []string  `json:"command"`
	Written  time.Time `json:"written"`
	Machine  Machine   `json:"machine"`
	Seed     uint64    `json:"seed"`
	// Params are the scenario's settings; durations are nanoseconds.
	Params      any         `json:"params,omitempty"`
	Calibration Calibration `json:"calibration"`
	Runs        []Run       `json:"runs"`
}

// Calibration is what was fitted to the server: how many rows a read sorts, what that costs on the idle server, and so on.
type Calibration struct {
	ReadRows   int     `json:"read_rows"`
	ReadMillis float64 `json:"read_ms"`
	// CrunchRounds per millisecond is how fast the server did a statement of nothing but arithmetic; 0 when not asked.
	CrunchRounds float64 `json:"crunch_rounds_per_ms,omitempty"`
	// Capacity is how many such reads a second the idle server did, asked directly; 0 when not asked.
	Capacity float64 `json:"capacity,omitempty"`
}

// Targets returns the names of the targets in the order of their first run.
func (f *File) Targets() []string {
	var names []string
	seen := map[string]bool{}
	for _, r := range f.Runs {
		if !seen[r.Target] {
			seen[r.Target] = true
			names = append(names, r.Target)
		}
	}
	return names
}

// Of returns the runs of one target, in order. The slice is new, the runs are shared.
func (f *File) Of(target string) []Run {
	var runs []Run
	for _, r := range f.Runs {
		if r.Target == target {
			runs = append(runs, r)
		}
	}
	return runs
}

// Save writes the file as JSON, making the directory when it is missing.
func (f *File) Save(path string) error {
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the results directory: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// Load reads a file that Save wrote.
func Load(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	f := &File{}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	return f, nil
}
