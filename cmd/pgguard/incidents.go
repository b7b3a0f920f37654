package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy/admin"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/witness"
)

// remote is the pages of a guard that runs.
type remote struct {
	HTTP      string `name:"http" env:"PGGUARD_HTTP" default:"127.0.0.1:9432" placeholder:"ADDR" help:"Address of the pages of a running pgguard, host:port or a URL."`
	TokenFile string `name:"token-file" env:"PGGUARD_TOKEN_FILE" placeholder:"FILE" help:"File with the token of those pages (admin.token_file)."`
}

// maxPage bounds what is read of a page: a thousandth of it is usual.
const maxPage = 64 << 20

// get reads a page into value.
func (r *remote) get(ctx context.Context, path string, value any) error {
	base := r.HTTP
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+path, nil)
	if err != nil {
		return usageError{fmt.Errorf("--http: %w", err)}
	}
	if r.TokenFile != "" {
		token, err := os.ReadFile(r.TokenFile)
		if err != nil {
			return fmt.Errorf("--token-file: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask pgguard: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	if err != nil {
		return fmt.Errorf("ask pgguard: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("pgguard at %s answers %s: %s", r.HTTP, answer.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("%s of %s is not what pgguard answers: %w", path, r.HTTP, err)
	}
	return nil
}

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
