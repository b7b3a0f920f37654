package matrix

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pgguard/bench/report"
)

// Role says what a contender is in a cell.
type Role string

// The roles.
const (
	Judged    Role = "judged"    // a guard that finds its limit by itself
	Static    Role = "static"    // the same guard with a fixed limit
	InOrder   Role = "in order"  // the same, who comes first is served first
	PgBouncer Role = "pgbouncer" // a pool of a fixed size, in order of arrival
	Direct    Role = "direct"    // no proxy
	Other     Role = "other"     // a proxy that runs already
)

// Contender is one of those who are measured in a cell.
type Contender struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	Size int    `json:"size,omitempty"` // of all its processes together: fixed limit, pool
}

// Measured is a cell with all that was measured in it.
type Measured struct {
	Cell
	ReadRows   int          `json:"read_rows"` // that a statement sorts
	ReadMillis float64      `json:"read_ms"`   // what it was measured to take on the idle server
	Rate       float64      `json:"rate,omitempty"`
	Contenders []Contender  `json:"contenders"`
	Runs       []report.Run `json:"runs"`
	Wrong      []string     `json:"wrong,omitempty"` // runs that failed
}

// Add appends a run of a contender.
func (m *Measured) Add(c Contender, r report.Run) {
	known := false
	for _, k := range m.Contenders {
		known = known || k == c
	}
	if !known {
		m.Contenders = append(m.Contenders, c)
	}
	m.Runs = append(m.Runs, r)
}

// File is everything one command measured.
type File struct {
	Command   []string          `json:"command"`
	Written   time.Time         `json:"written"`
	Machine   report.Machine    `json:"machine"`
	Seed      uint64            `json:"seed"`
	Seconds   float64           `json:"seconds"` // that a run counts
	Warmup    float64           `json:"warmup_s"`
	Repeats   int               `json:"repeats"`
	Simulated bool              `json:"simulated,omitempty"`
	Programs  map[string]string `json:"programs,omitempty"` // versions by the contender's name
	Cells     []*Measured       `json:"cells"`
}

// Save writes the file as JSON, making the directory when it is missing.
func (f *File) Save(path string) error {
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("encode the matrix: %w", err)
	}
	return write(path, append(b, '\n'))
}

// Load reads a file that Save wrote.
func Load(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the matrix: %w", err)
	}
	f := &File{}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	return f, nil
}

// write writes a file, making its directory when it is missing.
func write(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the results directory: %w", err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
