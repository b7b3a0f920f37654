package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pgguard/proxy/dashboard"
)

// topCmd shows in a terminal what the dashboard shows.
type topCmd struct {
	remote `embed:""`
	Once   bool `help:"Show it once and end, as where the output is no terminal."`
}

// Run implements the command: it ends with an interrupt, or when the guard has gone for good.
func (c *topCmd) Run(e *env) error {
	ctx, stop := signal.NotifyContext(e.ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	out, terminal := e.out.(*os.File)
	width, height, known := 0, 0, false
	if terminal {
		width, height, known = windowSize(out)
	}
	once := c.Once || !known
	if !known {
		width, height = fromEnvironment("COLUMNS", 120), fromEnvironment("LINES", 60)
	}
	s := screen{out: e.out, once: once, width: width, height: height}
	if !once {
		defer s.leave()
		s.size = func() (int, int) { w, h, _ := windowSize(out); return w, h }
		s.enter()
	}
	for {
		err := c.follow(ctx, s.show)
		switch {
		case errors.Is(err, errShown), ctx.Err() != nil:
			return nil
		case once || !s.shown:
			return err
		}
		s.lost(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// errShown ends a top that shows once.
var errShown = errors.New("shown")

// fromEnvironment is a number of the environment.
func fromEnvironment(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// maxEvent bounds one event of the stream.
const maxEvent = 8 << 20

// follow calls show with what the guard says each second, until show returns an error, ctx ends or the guard goes.
func (r *remote) follow(ctx context.Context, show func(*dashboard.Now) error) error {
	answer, err := r.ask(ctx, "/api/v1/stream")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		text, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is {
			continue
		}
		var now dashboard.Now
		if err := json.Unmarshal([]byte(text), &now); err != nil {
			return fmt.Errorf("what pgguard at %s says is not understood; is it of another version? %w", r.HTTP, err)
		}
		if err := show(&now); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("ask pgguard: %w", err)
	}
	return fmt.Errorf("pgguard at %s has gone", r.HTTP)
}

// screen is the terminal.
type screen struct {
	out           io.Writer
	once, shown   bool
	width, height int
	size          func() (width, height int) // nil: it does not change
}

// enter takes another screen, so that what was there comes back at the end; leave gives it back.
func (s *screen) enter() { _, _ = io.WriteString(s.out, "\x1b[?1049h\x1b[?25l") }
func (s *screen) leave() { _, _ = io.WriteString(s.out, "\x1b[?25h\x1b[?1049l") }

// show draws what the guard says.
func (s *screen) show(now *dashboard.Now) error {
	s.shown = true
	v := view{width: s.width, height: s.height, color: !s.once, at: time.Now()}
	if s.size != nil {
		if w, h := s.size(); w > 0 && h > 0 {
			v.width, v.height = w, h
		}
	}
	text := strings.Join(v.lines(now), "\n") + "\n"
	if s.once {
		if _, err := io.WriteString(s.out, text); err != nil {
			return err
		}
		return errShown
	}
	// Each line is overwritten and its rest cleared, then what is below: nothing flickers.
	text = "\x1b[H" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\x1b[K\r\n") + "\x1b[K\x1b[J"
	_, err := io.WriteString(s.out, text)
	return err
}

// lost says above what is shown that it is old.
func (s *screen) lost(err error) {
	_, _ = fmt.Fprintf(s.out, "\x1b[H\x1b[7m %s; what is shown is old \x1b[0m\x1b[K", plain(err.Error()))
}
