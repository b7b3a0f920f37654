package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// likeLog writes lines as PgBouncer does, for programs that read its log: time, process, level, the client that a line is about, message. What the line knows beside
// stands behind that, as name=value. A line is one line, whatever is in it.
type likeLog struct {
	level slog.Leveler
	attrs []slog.Attr
	out   *likeOutput
}

// likeOutput is where all of them write to.
type likeOutput struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func newLikeLog(w io.Writer, level slog.Leveler) *likeLog {
	return &likeLog{level: level, out: &likeOutput{w: w}}
}

// Enabled implements slog.Handler.
func (h *likeLog) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h *likeLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &likeLog{h.level, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...), h.out}
}

// WithGroup implements slog.Handler. There are no groups in lines.
func (h *likeLog) WithGroup(string) slog.Handler { return h }

// Handle implements slog.Handler.
func (h *likeLog) Handle(_ context.Context, r slog.Record) error {
	var rest strings.Builder
	client, server, database, user := "", "", "(nodb)", "(nouser)"
	message := r.Message
	add := func(a slog.Attr) bool {
		v := a.Value.Resolve()
		switch a.Key {
		case "client":
			client = v.String()
			return true
		case "server":
			server = v.String()
			return true
		case "database":
			database = v.String()
		case "user":
			user = v.String()
		case "error":
			if told := likeError(v.Any()); !strings.Contains(message, told) {
				message += ": " + told
			}
			return true
		}
		rest.WriteString(" " + a.Key + "=" + likeValue(v.String()))
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	about := ""
	switch {
	case client != "":
		about = fmt.Sprintf("C-0x0: %s/%s@%s ", oneLine(database), oneLine(user), client)
	case server != "":
		about = fmt.Sprintf("S-0x0: %s/%s@%s ", oneLine(database), oneLine(user), server)
	}
	line := fmt.Sprintf("%s [%d] %s %s%s%s\n", r.Time.Format("2006-01-02 15:04:05.000 MST"), os.Getpid(), likeLevel(r.Level), about, oneLine(message), rest.String())
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := io.WriteString(h.out.w, line)
	return err
}

// likeLevel is PgBouncer's word for a level.
func likeLevel(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARNING"
	case l >= slog.LevelInfo:
		return "LOG"
	}
	return "DEBUG"
}

// likeError is an error as PgBouncer writes it: PostgreSQL's with its severity.
func likeError(v any) string {
	err, ok := v.(error)
	if !ok {
		return fmt.Sprint(v)
	}
	var said *upstream.Error
	if errors.As(err, &said) {
		f, _ := wire.ParseError(said.Body) // it was read before
		return string(f.Severity) + " " + said.Message
	}
	return err.Error()
}

// likeValue is a value that no space ends.
func likeValue(text string) string {
	if text == "" || strings.ContainsAny(text, " \"=") || oneLine(text) != text {
		return strconv.Quote(text)
	}
	return text
}

// oneLine is a text without what would end or hide a line.
func oneLine(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}
