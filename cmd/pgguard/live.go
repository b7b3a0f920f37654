package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/auth"
	"pgguard/proxy/config"
	"pgguard/proxy/config/pgbouncer"
	"pgguard/proxy/console"
)

// live is the configuration of a guard that runs, and what it takes to change it. Any goroutine may call its methods.
type live struct {
	read  func(set []pgbouncer.Assignment) (*reading, error) // the file, as it is now, with values that go before it
	apply func(*config.File) error                           // all of it, or, with an error, nothing
	note  func(event.Event)
	path  string // of the file; "": there is none
	log   *slog.Logger
	level slog.LevelVar

	hangups <-chan os.Signal       // who asks for that; nil: nobody
	known   atomic.Pointer[string] // the token of the pages; nil: it has not been read

	now atomic.Pointer[reading]

	mu  sync.Mutex
	set []pgbouncer.Assignment // guarded by mu: by operators, since the file was read last
}

// reading is a configuration as it was read.
type reading struct {
	file    *config.File
	fixed   []config.Override   // by flags and variables
	theirs  []pgbouncer.Setting // in PgBouncer's words; nil: the file is not PgBouncer's
	remarks []string            // on lines of PgBouncer's that mean something else here, or nothing
}

// maxShown bounds a value in an event.
const maxShown = 200

// begin has first be the configuration, and returns its log, written to w.
func (l *live) begin(first *reading, w io.Writer) *slog.Logger {
	l.now.Store(first)
	l.log = newLog(first.file.Log, w, &l.level)
	if first.theirs != nil && first.file.Log.Format != "json" {
		l.log = slog.New(newLikeLog(w, &l.level))
	}
	return l.log
}

// doubt logs what a configuration can hardly mean.
func (l *live) doubt(f *config.File) {
	for _, text := range f.Doubts() {
		l.log.Warn(text)
	}
}

// token is what callers of the pages must know, as of now.
func (l *live) token() string {
	if t := l.known.Load(); t != nil {
		return *t
	}
	return ""
}

// readToken reads it from the file that a configuration names.
func (l *live) readToken(f *config.File) error {
	t, err := f.Token()
	if err == nil {
		l.known.Store(&t)
	}
	return err
}

// reload reads the file again, and changes what differs, for somebody. What operators have SET is forgotten.
func (l *live) reload(by string) ([]config.Change, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, err := l.read(nil)
	if err != nil {
		return nil, l.refused(by, err)
	}
	changes, err := l.turn(by, next)
	if err == nil {
		l.set = nil
	}
	return changes, err
}

// assign gives one key another value, for somebody, and returns what it means in lines.
func (l *live) assign(by, key, value string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	set := slices.DeleteFunc(slices.Clone(l.set), func(a pgbouncer.Assignment) bool { return a.Key == key })
	set = append(set, pgbouncer.Assignment{Key: key, Value: value})
	next, err := l.read(set)
	if err != nil {
		return nil, l.refused(by, err)
	}
	changes, err := l.turn(by, next)
	if err != nil {
		return nil, err
	}
	l.set = set
	return append(lines(changes), next.about(key)...), nil
}

// about are the remarks on a key that was SET.
func (r *reading) about(key string) (list []string) {
	for _, text := range r.remarks {
		if rest, ok := strings.CutPrefix(text, "SET "+key+":1: "); ok {
			list = append(list, rest)
		}
	}
	return list
}

// turn has next be the configuration, but for what needs a restart. It is called with mu held.
func (l *live) turn(by string, next *reading) ([]config.Change, error) {
	now := l.now.Load()
	changes := append(now.file.Changes(next.file), next.stays(now)...)
	err := next.file.Keep(now.file)
	if err == nil {
		err = l.apply(next.file)
	}
	if err != nil {
		return nil, l.refused(by, err)
	}
	l.now.Store(next)
	l.doubt(next.file)
	waits := 0
	for _, c := range changes {
		if c.When == config.Restart {
			waits++
			l.log.Warn("a changed setting needs a restart; the old value stays", "key", c.Key, "from", c.From, "to", c.To, "by", by)
			continue
		}
		l.log.Info("setting changed", "key", c.Key, "from", c.From, "to", c.To, "has_effect", string(c.When), "by", by)
		l.note(changed(c, by))
	}
	l.log.Info("the configuration has been read again", "by", by, "changed", len(changes)-waits, "needs_restart", waits)
	return changes, nil
}

// stays has the keys of PgBouncer's that are read at the start alone keep what now has of them. It returns those of the process that the file has changed: no key of
// pgguard's stands for them, which would be told.
func (r *reading) stays(now *reading) (list []config.Change) {
	for i := range r.theirs {
		s := &r.theirs[i]
		if !s.Fixed || i >= len(now.theirs) {
			continue
		}
		was := now.theirs[i].Value
		if slices.Contains([]string{"logfile", "pidfile", "user"}, s.Key) && s.Value != was {
			list = append(list, config.Change{Key: s.Key, From: was, To: s.Value, When: config.Restart})
		}
		s.Value = was
	}
	return list
}

// refused tells that a configuration cannot be.
func (l *live) refused(by string, err error) error {
	l.log.Error("the configuration cannot be used; nothing has changed", "by", by, "error", err)
	l.note(event.Event{Time: time.Now(), Kind: event.Setting, Subject: "configuration", Cause: "refused", Mode: event.Enforce, By: by})
	return err
}

// short is a text of at most maxShown characters.
func short(text string) string {
	if r := []rune(text); len(r) > maxShown {
		return string(r[:maxShown-1]) + "…"
	}
	return text
}

// lines are changes for a person.
func lines(changes []config.Change) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.String()
	}
	return list
}

// file is the configuration in effect.
func (l *live) file() *config.File { return l.now.Load().file }

// settings are what SHOW CONFIG shows.
func (l *live) settings() []console.Setting {
	now := l.now.Load()
	list := settingsOf(now.file)
	for _, s := range now.theirs {
		list = append(list, console.Setting{Key: s.Key, Value: s.Value, Default: s.Default, Changeable: !s.Fixed})
	}
	return list
}

// shownKey is one key at /api/v1/config.
type shownKey struct {
	Key   string      `json:"key"`
	Value string      `json:"value"`
	When  config.When `json:"when"`
	// Source is the flag or variable that goes before the file.
	Source string `json:"source,omitempty"`
}

// configPage is /api/v1/config.
type configPage struct {
	Settings []shownKey `json:"settings"`
	// Hidden are keys that are left out, and those below them: names of users, and rules by which they come in, where everybody on the machine may ask.
	Hidden []string `json:"hidden,omitempty"`
}

// page is what /api/v1/config shows.
func (l *live) page() any {
	now := l.now.Load()
	page := configPage{Settings: []shownKey{}}
	for _, s := range now.file.Settings() {
		if who := l.hides(now.file, s.Key); who == "" {
			page.Settings = append(page.Settings, shownKey{s.Key, s.Value, config.WhenOf(s.Key), now.source(s.Key)})
		} else if !slices.Contains(page.Hidden, who) {
			page.Hidden = append(page.Hidden, who)
		}
	}
	return page
}

// hides is what a key of f is called on the pages, where whoever asks has proved nothing; "": it may be shown there.
func (l *live) hides(f *config.File, key string) string {
	if l.token() != "" || f.Admin.TLS.ClientCA != "" {
		return ""
	}
	return config.WhoOf(key)
}

// changed is a change as an event: whole, for operators and the file of incidents.
func changed(c config.Change, by string) event.Event {
	return event.Event{
		Time: time.Now(), Kind: event.Setting, Subject: c.Key, Cause: string(c.When), From: short(c.From), To: short(c.To), Mode: event.Enforce, By: by,
	}
}

// shown are events as the pages may tell them, as of now. It changes the list, which is the caller's.
func (l *live) shown(events []event.Event, missed uint64) ([]event.Event, uint64) {
	f := l.file()
	for i := range events {
		e := &events[i]
		if e.Kind != event.Setting {
			continue
		}
		if who := l.hides(f, e.Subject); who != "" {
			e.Subject, e.From, e.To = who, "", ""
		}
	}
	return events, missed
}

// source is the flag or variable that a key comes from; "": the file.
func (r *reading) source(key string) string {
	for _, o := range r.fixed {
		if o.Covers(key) {
			return o.Source
		}
	}
	return ""
}

// own has keys of pgguard, and keys of PgBouncer's that one stands for, be overrides.
func own(set []pgbouncer.Assignment) (list []config.Override, err error) {
	for _, a := range set {
		if o, ok := pgbouncer.Ours(a); ok {
			list = append(list, o)
		} else if config.Settable(a.Key) {
			list = append(list, config.OverrideOf(a.Key, a.Value, "SET "+a.Key))
		} else {
			return nil, errors.New(a.Key + " is no setting that SET can change: " + whyNot(a.Key))
		}
	}
	return list, nil
}

// whyNot says why a key cannot be SET.
func whyNot(key string) string {
	switch {
	case config.WhenOf(key) != "" || config.HasKeys(key):
		return "change it in the file, and RELOAD"
	case pgbouncer.Knows(key):
		return "it is PgBouncer's, and nothing here stands for it"
	}
	return "there is none of that name"
}

// readAgain reads the configuration of pgguard serve.
func (c *serveCmd) readAgain(set []pgbouncer.Assignment) (*reading, error) {
	fixed := c.overrides()
	over, err := own(set)
	if err != nil {
		return nil, err
	}
	f, err := config.Load(c.Config, append(slices.Clone(fixed), over...)...)
	if err != nil {
		return nil, err
	}
	return &reading{file: f, fixed: fixed}, nil
}

// readAgain reads PgBouncer's configuration. Values for keys that are not PgBouncer's are for pgguard's own.
func (b *bouncerFlags) readAgain(c *serveCmd, set []pgbouncer.Assignment) (*reading, *pgbouncer.Conversion, error) {
	var mine, theirs []pgbouncer.Assignment
	for _, a := range set {
		if pgbouncer.Knows(a.Key) {
			theirs = append(theirs, a)
		} else {
			mine = append(mine, a)
		}
	}
	out, err := pgbouncer.ConvertWith(b.File, theirs)
	if err != nil {
		return nil, nil, err
	}
	fixed := c.overrides()
	over := []config.Override{{Path: "notice_after", Values: []string{config.Duration(out.Process.Notify).String()}, Source: "query_wait_notify"}} // also its default
	if path, err := filepath.Abs(out.Process.Socket); out.Process.Socket != "" && err == nil && config.FitsSocket(path) {
		over = append(over, config.Override{Path: "takeover.socket", Values: []string{path}, Source: "unix_socket_dir"})
	}
	if b.Verbose > 0 {
		fixed = append(fixed, config.Override{Path: "log.level", Values: []string{"debug"}, Source: "-v"})
	}
	more, err := own(mine)
	if err != nil {
		return nil, nil, err
	}
	f, err := out.Load(slices.Concat(over, fixed, more)...)
	if err != nil {
		return nil, nil, err
	}
	return &reading{file: f, fixed: fixed, theirs: out.Settings, remarks: out.Remarks}, out, nil
}

// toGuard is what the guard is told, with what the system allows.
func toGuard(f *config.File, log *slog.Logger, b *bouncer) (proxy.Config, error) {
	cfg := f.ToProxy()
	cfg.Log, cfg.LearnedDir = log, f.LearnedDir()
	if b != nil {
		cfg.Grace, cfg.NoticeAfter, cfg.Logged = forever, f.NoticeAfter.Std(), b.lines.settle
	}
	return cfg, provideFiles(&cfg, log)
}

// applyTo has a guard, and its pages, go by another configuration, all of it or, with an error, nothing but new certificates that can be used.
func applyTo(g guard, pages *auth.Certificates, next *config.File, l *live, b *bouncer) error {
	cfg, err := toGuard(next, l.log, b)
	if err != nil {
		return err
	}
	token := ""
	if next.HTTP != "off" { // else nobody asks for it
		if token, err = next.Token(); err != nil {
			return err
		}
	}
	if err := pages.Reload(); err != nil {
		return err
	}
	if err := g.Reload(cfg); err != nil {
		return err
	}
	l.known.Store(&token)
	l.level.Set(slog.Level(next.Log.Level))
	return nil
}

// lookEvery is how often it is seen whether the file has changed. Who has just saved it does not wait longer.
const lookEvery = time.Second

// watch has the file read again when it has changed, if it says so itself, until stop is called. What is replaced in two steps is read when it has been the same at two looks.
func (l *live) watch(reload func(by string) ([]string, error)) (stop func()) {
	if !l.file().Reload || l.path == "" {
		return func() {}
	}
	read := stampOf(l.path)
	last := read
	return beside(func(ctx context.Context) {
		t := time.NewTicker(lookEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			now := stampOf(l.path)
			if now != read && now == last && now != (stamp{}) {
				read = now
				_, _ = reload("reload_on_change") // which logs what has changed, and what is wrong
			}
			last = now
		}
	})
}

// stamp is a file at one look; the zero value: it was not there.
type stamp struct {
	at   time.Time
	size int64
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}
