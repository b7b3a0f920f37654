package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"pgguard/pool/event"
	"pgguard/pool/sorting"
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
	incidents, events, err := c.read(e.ctx, e.err)
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
func (c *incidentsCmd) read(ctx context.Context, say io.Writer) (incidents []diagnosis.Incident, events []event.Event, err error) {
	if c.File != "" {
		return readIncidents(c.File, say)
	}
	var page admin.Events
	if err = c.get(ctx, "/api/v1/incidents", &incidents); err == nil {
		err = c.get(ctx, "/api/v1/events", &page)
	}
	return incidents, page.Events, err
}

// maxIncidentLine bounds a line in bytes: pgguard writes some hundred.
const maxIncidentLine = 1 << 20

// readIncidents reads a file of incidents. Lines that cannot be read, as one that was cut off, are left out, and counted to say; a file of nothing else
// is an error.
func readIncidents(path string, say io.Writer) (incidents []diagnosis.Incident, events []event.Event, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	unread := 0
	for lines := bufio.NewReaderSize(f, maxIncidentLine); err == nil; {
		var text []byte
		text, err = lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		if len(text) == 0 {
			break
		}
		var l witness.Line
		if long || json.Unmarshal(text, &l) != nil || l.Event == nil && l.Incident == nil {
			unread++
			continue
		}
		if l.Event != nil {
			events = append(events, *l.Event)
		}
		if l.Incident != nil {
			incidents = append(incidents, *l.Incident)
		}
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, nil, err
	case unread > 0 && len(incidents)+len(events) == 0:
		return nil, nil, fmt.Errorf("%s: no line of it is a decision or an incident; the file is the one that incidents.file names", path)
	case unread > 0:
		_, _ = fmt.Fprintf(say, "%d lines of %s cannot be read\n", unread, path)
	}
	sorting.By(incidents, func(a, b diagnosis.Incident) int { return cmp.Compare(b.Begin.UnixNano(), a.Begin.UnixNano()) })
	return incidents, events, nil
}
