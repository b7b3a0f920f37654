package matrix

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Factor is one thing in which regimes differ, with the values it takes.
type Factor struct {
	Name   string
	Values []float64
	text   func(v float64) string
}

// Text is a value as people read it.
func (f Factor) Text(v float64) string { return f.text(v) }

// The factors' places in Factors and in a cell's Values.
const (
	cost = iota
	writes
	hotRows
	trip
	workers
	deadline
	loop
	guards
	numFactors
)

// Factors are all factors, in the order of a cell's Values.
var Factors = [numFactors]Factor{
	cost:     {"statement", []float64{0.2, 1.5, 5, 20}, unit("ms")},
	writes:   {"writes", []float64{0, 30, 100}, unit("%")},
	hotRows:  {"hot rows", []float64{0, 10, 1000}, number},
	trip:     {"round trip", []float64{0, 1, 10}, unit("ms")},
	workers:  {"workers", []float64{8, 32, 128, 512, 1000}, number},
	deadline: {"deadline", []float64{1, 2, 5, 30}, unit("s")},
	loop:     {"loop", []float64{0, 1}, func(v float64) string { return [...]string{"closed", "open"}[int(v)] }},
	guards:   {"guards", []float64{1, 4}, number},
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func unit(name string) func(float64) string {
	return func(v float64) string { return number(v) + " " + name }
}

// Cell is one regime: an unchanging load.
type Cell struct {
	Name      string  `json:"name"`
	Cost      float64 `json:"cost_ms"`        // CPU of a statement
	Writes    float64 `json:"writes_percent"` // of the requests; the others are reads
	HotRows   int     `json:"hot_rows"`       // that the writes fight for; 0: writes hardly meet
	RoundTrip float64 `json:"round_trip_ms"`  // between client and proxy
	Workers   int     `json:"workers"`        // closed loop: clients. Open loop: connections at most, and Pressure
	Deadline  float64 `json:"deadline_s"`     // when a client gives up
	Open      bool    `json:"open"`
	Guards    int     `json:"guards"` // before the one server
}

// cellOf returns the cell without a name that has these values.
func cellOf(v [numFactors]float64) Cell {
	return Cell{
		Cost: v[cost], Writes: v[writes], HotRows: int(v[hotRows]), RoundTrip: v[trip], Workers: int(v[workers]),
		Deadline: v[deadline], Open: v[loop] > 0, Guards: int(v[guards]),
	}
}

// Values are the cell's values of Factors.
func (c Cell) Values() [numFactors]float64 {
	v := [numFactors]float64{
		cost: c.Cost, writes: c.Writes, hotRows: float64(c.HotRows), trip: c.RoundTrip, workers: float64(c.Workers),
		deadline: c.Deadline, guards: float64(c.Guards),
	}
	if c.Open {
		v[loop] = 1
	}
	return v
}

// String says in what the cell differs from others, without its name.
func (c Cell) String() string {
	var parts []string
	for i, v := range c.Values() {
		switch f := Factors[i]; i {
		case cost, loop:
			parts = append(parts, f.Text(v))
		default:
			parts = append(parts, f.Name+" "+f.Text(v))
		}
	}
	return strings.Join(parts, ", ")
}

// Millis turns milliseconds, as cells have them, into a time.
func Millis(v float64) time.Duration { return time.Duration(v * float64(time.Millisecond)) }

// pressures are the arrivals of an open loop by the number of workers, as a multiple of what the server does directly: what
// more workers are to a closed loop.
var pressures = map[int]float64{8: 0.6, 32: 0.9, 128: 1.2, 512: 1.6, 1000: 2}

// Pressure is the rate of an open loop, as a multiple of what the server does when it is asked directly by few clients.
func (c Cell) Pressure() float64 {
	if p := pressures[c.Workers]; p > 0 {
		return p
	}
	return 1
}

// Table are the cells that workers climb through in the report that the matrix was made for: cheap reads, and transactions
// on ten hot rows whose commits wait for the disk.
func Table() []Cell {
	var cells []Cell
	for _, n := range []int{32, 128, 512, 1000} {
		cells = append(cells, Cell{
			Name: fmt.Sprintf("table %d", n), Cost: 1.5, Writes: 30, HotRows: 10, Workers: n, Deadline: 2, Guards: 1,
		})
	}
	return cells
}

// Design returns the cells to measure: those of Table, those of Pairs, and, where there shall be at least more than those, others
// that are drawn from all there are. It is the same every time.
func Design(least int) []Cell {
	cells := append(Table(), Pairs()...)
	if least <= len(cells) {
		return cells
	}
	known := map[string]bool{}
	for _, c := range cells {
		known[c.String()] = true
	}
	all := everything()
	for i, place := range rand.New(rand.NewPCG(2, 2)).Perm(len(all)) {
		if c := all[place]; len(cells) < least && !known[c.String()] {
			c.Name = fmt.Sprintf("drawn %d", i+1)
			cells = append(cells, c)
		}
	}
	return cells
}

// everything is every combination of values.
func everything() []Cell {
	rows := [][numFactors]float64{{}}
	for f := range Factors {
		var more [][numFactors]float64
		for _, row := range rows {
			for _, v := range Factors[f].Values {
				row[f] = v
				more = append(more, row)
			}
		}
		rows = more
	}
	var cells []Cell
	for _, row := range rows {
		cells = append(cells, cellOf(row))
	}
	return cells
}
