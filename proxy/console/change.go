package console

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy"
)

// change is a command that changes something.
type change struct {
	do func(s *session, arg string) error
	// said is in the place of do where there is more to say than that it is done.
	said func(s *session) ([]string, error)
	// form says whether a word behind the command makes sense; nil: any does.
	form func(arg string) bool
	// silent is for what is not an event.
	silent bool
}

func noWord(arg string) bool { return arg == "" }

// changes are all of them, by verb.
var changes = map[string]change{
	"pause":       {do: pause},
	"resume":      {do: resume},
	"disable":     {do: func(s *session, arg string) error { return s.able(arg, true) }},
	"enable":      {do: func(s *session, arg string) error { return s.able(arg, false) }},
	"reconnect":   {do: reconnect},
	"kill":        {do: kill},
	"kill_client": {do: killClient},
	"wait_close":  {do: waitClose, silent: true},
	"reload":      {said: reload, form: noWord},
	"suspend":     {do: suspend, form: noWord},
	"shutdown":    {do: shutdown, form: func(arg string) bool { _, ok := ends[strings.ToLower(arg)]; return ok }},
}

// alter is the statement of a command that changes something; nil: it is none, or is not written so.
func (s *session) alter(c command) *statement {
	if c.set {
		return &statement{run: func(s *session) (result, error) { return s.set(c.arg, c.value) }}
	}
	ch, ok := changes[c.verb]
	if !ok || ch.form != nil && !ch.form(c.arg) {
		return nil
	}
	return &statement{run: func(s *session) (result, error) {
		if !s.operator.Changes {
			return result{}, errNotAdmin
		}
		if !ch.silent {
			s.tell(c.verb, c.arg)
		}
		var lines []string
		var err error
		if ch.said != nil {
			lines, err = ch.said(s)
		} else {
			err = ch.do(s, c.arg)
		}
		if err != nil {
			return result{}, err
		}
		return result{tag: strings.ToUpper(c.verb), notices: notices(lines)}, nil
	}}
}

var errNotAdmin = failed("admin access needed")

// tell keeps an event of what the operator does: before it is done, because that may take long.
func (s *session) tell(verb, arg string) {
	subject := arg
	if subject == "" {
		subject = "all"
	}
	s.guard.Tell(event.Event{Time: time.Now(), Kind: event.Operate, Subject: subject, Cause: verb, By: s.operator.User})
}

// inWords is an error of the guard's in PgBouncer's words.
func inWords(err error, arg string) error {
	switch {
	case errors.Is(err, proxy.ErrNoDatabase):
		return failed("no such database: %s", arg)
	case errors.Is(err, proxy.ErrPaused):
		return failed("already suspended/paused")
	case errors.Is(err, proxy.ErrSomePaused):
		return failed("cannot suspend with paused databases")
	case errors.Is(err, proxy.ErrNotPaused) && arg != "":
		return failed("database %s is not paused", arg)
	case errors.Is(err, proxy.ErrNotPaused):
		return failed("pooler is not paused/suspended")
	case errors.Is(err, proxy.ErrShutDown):
		return failed("pooler is shutting down")
	}
	return err
}

func pause(s *session, arg string) error {
	if s.guard.Paused() {
		return inWords(proxy.ErrPaused, arg)
	}
	if proxy.IsConsole(arg) {
		return failed("cannot pause admin db: %s", arg)
	}
	err := s.wait(func(ctx context.Context) error { return s.guard.Pause(ctx, arg) })
	if errors.Is(err, errCanceled) {
		_ = s.guard.Resume(arg) // somebody else may have
	}
	return inWords(err, arg)
}

func resume(s *session, arg string) error { return inWords(s.guard.Resume(arg), arg) }

func (s *session) able(arg string, disabled bool) error {
	switch {
	case arg == "":
		return failed("a database is required")
	case proxy.IsConsole(arg):
		return failed("cannot disable admin db: %s", arg)
	}
	return inWords(s.guard.Disable(arg, disabled), arg)
}

func reconnect(s *session, arg string) error {
	if proxy.IsConsole(arg) {
		return failed("cannot reconnect admin db: %s", arg)
	}
	_, err := s.guard.Reconnect(arg)
	return inWords(err, arg)
}

func kill(s *session, arg string) error {
	if proxy.IsConsole(arg) {
		return failed("cannot kill admin db: %s", arg)
	}
	return inWords(s.guard.Kill(arg), arg)
}

func killClient(s *session, arg string) error {
	id, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return failed("invalid client pointer supplied")
	}
	if !s.guard.KillClient(id) {
		return failed("client not found")
	}
	return nil
}

func waitClose(s *session, arg string) error {
	if proxy.IsConsole(arg) {
		return failed("cannot wait in admin db: %s", arg)
	}
	return inWords(s.wait(func(ctx context.Context) error { return s.guard.AwaitRetired(ctx, arg) }), arg)
}

// reload says what it has changed.
func reload(s *session) ([]string, error) {
	lines, err := s.console.cfg.Reload(s.operator.User)
	if err != nil {
		return nil, &failure{code: "F0000", message: "RELOAD failed, see logs for additional details", detail: err.Error()}
	}
	return lines, nil
}

// suspend is undone by the end of its operator's session, too.
func suspend(s *session, _ string) error {
	err := s.wait(func(ctx context.Context) error {
		number, err := s.guard.Suspend(ctx)
		if err == nil {
			s.suspension = number
		}
		return err
	})
	return inWords(err, "")
}

// ends are the ways to shut down, by the word behind the command.
var ends = map[string]End{"": EndNow, "wait_for_servers": EndServers, "wait_for_clients": EndClients}

func shutdown(s *session, arg string) error {
	s.console.cfg.Shutdown(ends[strings.ToLower(arg)])
	return nil
}

// ignored are settings that drivers set without asking whether they are needed.
var ignored = map[string]bool{"application_name": true, "extra_float_digits": true}

// set changes a setting.
func (s *session) set(key, value string) (result, error) {
	if _, ok := pretended[strings.ToLower(key)]; ok || ignored[strings.ToLower(key)] {
		return result{tag: "SET", notices: notices([]string{"SET ignored"})}, nil
	}
	if !s.operator.Changes {
		return result{}, errNotAdmin
	}
	lines, err := s.console.cfg.Set(s.operator.User, key, value)
	if err != nil {
		f := failed("SET failed")
		f.detail = err.Error()
		return result{}, f
	}
	if hidden(value) != value {
		value = "***"
	}
	return result{tag: "SET " + key + "=" + value, notices: notices(lines)}, nil
}

// errCanceled is what an operator is told who has cancelled a command.
var errCanceled = &failure{code: "57014", message: "canceling statement due to user request"}

// wait has f wait for something until the operator cancels it or leaves.
func (s *session) wait(f func(ctx context.Context) error) error {
	select {
	case <-s.operator.Canceled: // what came before this command
	default:
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	gone := s.watch(stop)
	defer gone()
	over := make(chan struct{})
	defer close(over)
	go func() { // ends with wait
		select {
		case <-s.operator.Canceled:
			stop(errCanceled)
		case <-over:
		}
	}()
	err := f(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// watch notices the end of the operator's connection while nobody reads from it, until what it returns is called.
func (s *session) watch(stop context.CancelCauseFunc) (end func()) {
	done := make(chan struct{})
	go func() { // ends with end
		defer close(done)
		if _, err := s.r.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			stop(errLeft)
		}
	}()
	return func() {
		_ = s.operator.Conn.SetReadDeadline(time.Unix(1, 0))
		<-done
		_ = s.operator.Conn.SetReadDeadline(time.Time{})
	}
}
