package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"

	"pgguard/pool/event"
	"pgguard/proxy/admin"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/witness"
)

// incidentsCmd writes what was wrong, and what was done about it.
type incidentsCmd struct {
	remote `embed:""`
	File   string `placeholder:"FILE" help:"Read a file of incidents (incidents.file) instead of asking a running pgguard."`
	Format string `enum:"markdown,json" default:"markdown" help:"markdown, the timeline that a review starts from, or json."`
}

// Run implements the command.
func (c *incidentsCmd) Run(e *env) error {
	incidents, events, err := c.read(e.ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		out := json.NewEncoder(e.out)
		out.SetIndent("", "  ")
		return out.Encode(incidents)
	}
	_, err = io.WriteString(e.out, diagnosis.Markdown(incidents, events))
	return err
}

// read returns the incidents, the last one first, and the decisions.
func (c *incidentsCmd) read(ctx context.Context) (incidents []diagnosis.Incident, events []event.Event, err error) {
	if c.File != "" {
		return readIncidents(c.File)
	}
	var page admin.Events
	err = errors.Join(c.get(ctx, "/api/v1/incidents", &incidents), c.get(ctx, "/api/v1/events", &page))
	return incidents, page.Events, err
}

// readIncidents reads a file of incidents. A line that was cut off, as by a full disk, is left out.
func readIncidents(path string) (incidents []diagnosis.Incident, events []event.Event, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l witness.Line
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		if l.Event != nil {
			events = append(events, *l.Event)
		}
		if l.Incident != nil {
			incidents = append(incidents, *l.Incident)
		}
	}
	slices.SortStableFunc(incidents, func(a, b diagnosis.Incident) int { return cmp.Compare(b.Begin.UnixNano(), a.Begin.UnixNano()) })
	return incidents, events, lines.Err()
}
