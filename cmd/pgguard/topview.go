package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pgguard/proxy/dashboard"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/sql"
)

// view draws what a guard says as lines of text.
type view struct {
	width, height int
	color         bool
	at            time.Time
}

// maxText is the longest text that one part of a line is made of; the terminal cuts it further.
const maxText = 1000

// plain is a text fit for a terminal, whoever it comes from: the guard that is asked may be somebody else's.
func plain(text string) string { return sql.Shown(text, maxText) }

// The numbers of a row, as dashboard.Rows has them.
const (
	rowRunning = 2 + iota
	rowLimit
	rowCap
	rowCores
	rowRefused
	rowWaits
)

// waitWords are the words for the waits of a row, and marks what their parts of the bar are made of.
var (
	waitWords = []string{"working", "disk", "internal lock", "lock", "client", "other", "not ours"}
	waitMarks = []string{"█", "▓", "▒", "X", "░", "·", "?"}
)

// lines are at most height lines of at most width.
func (v *view) lines(now *dashboard.Now) []string {
	var d dashboard.NowDatabase
	verdict := diagnosis.Verdict{State: diagnosis.Calm, Sentence: "Nothing has been seen yet."}
	if len(now.Verdicts) > 0 {
		verdict = now.Verdicts[0]
	}
	for _, one := range now.Databases {
		if one.Name == verdict.Database {
			d = one
		}
	}
	out := v.head(now, &verdict)
	out = append(out, v.load(now, &d)...)
	// What is long shares what is left of the screen: a part gets no more than it needs.
	parts := [][]string{v.crowds(&d), v.queries(now), v.journal(now), v.incidents(now)}
	for i, part := range parts {
		room := (v.height - len(out)) / (len(parts) - i)
		if len(part) > 1 && room > 2 {
			out = append(out, "")
			out = append(out, part[:min(len(part), room-1)]...)
		}
	}
	for i := range out {
		out[i] = v.cut(out[i])
	}
	return out[:min(len(out), max(1, v.height))]
}

// head is the verdict.
func (v *view) head(now *dashboard.Now, verdict *diagnosis.Verdict) []string {
	mode := now.Mode
	if now.Draining {
		mode += ", draining"
	}
	out := []string{fmt.Sprintf("pgguard %s  %s  %s  %s", plain(now.Version), plain(verdict.Database), plain(mode), v.at.Format("15:04:05")), ""}
	state := strings.ToUpper(verdict.State.String())
	mark, color := "✖", "\x1b[1;31m"
	switch verdict.State {
	case diagnosis.Calm:
		mark, color = "✓", "\x1b[1;32m"
	case diagnosis.Busy:
		mark, color = "●", "\x1b[1;34m"
	case diagnosis.Guarding, diagnosis.Shedding:
		mark, color = "▲", "\x1b[1;33m"
	}
	since := ""
	if !verdict.Since.IsZero() {
		since = fmt.Sprintf("  since %s, %.0f %% sure", verdict.Since.Local().Format("15:04:05"), 100*verdict.Confidence)
	}
	out = append(out, v.paint(color, mark+" "+plain(state))+since)
	for _, line := range v.wrap(plain(verdict.Sentence)) {
		out = append(out, v.paint("\x1b[1m", line))
	}
	out = append(out, v.wrap(plain(verdict.Advice))...)
	if c := &verdict.Culprit; !verdict.State.Healthy() && c.Who() != "" {
		out = append(out, "culprit: "+about(c))
		if c.Through != nil {
			out = append(out, "   └─ waits for it, others wait behind: "+about(c.Through))
		}
	}
	return out
}

// about is a culprit in one line.
func about(c *diagnosis.Culprit) string {
	parts := []string{}
	add := func(format string, value any, is bool) {
		if is {
			parts = append(parts, plain(fmt.Sprintf(format, value)))
		}
	}
	add("%s", c.Process, c.Process != "")
	add("%s", c.Application, c.Application != "")
	add("pid %d", c.PID, c.PID != 0)
	add("from %s", c.Client, c.Client != "")
	add("class %s", c.Class, c.Class != "")
	add("%s", c.Statement, c.Statement != "")
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		add("%s", key+"="+c.Tags[key], true)
	}
	add("%s", c.Query, c.Query != "")
	add("%d wait for it", c.Waiters, c.Waiters > 0)
	return strings.Join(parts, ", ")
}

// load is what runs, as numbers and a bar, and each class.
func (v *view) load(now *dashboard.Now, d *dashboard.NowDatabase) []string {
	classes := len(now.Classes)
	if len(d.Row) < rowWaits+len(waitWords)+3*classes {
		return nil
	}
	row := d.Row
	clients := 0
	for _, n := range now.Clients {
		clients += n
	}
	out := []string{"", fmt.Sprintf("%s of %s run   %d of %s connections in use, %d idle   %d clients, %d in a transaction that does nothing", number(row[rowRunning]),
		number(row[rowLimit]), d.Servers["active"], number(row[rowCap]), d.Servers["idle"], clients, now.Clients["idle_in_transaction"])}
	out = append(out, v.bar(row[rowWaits:], now.Classes)...)
	out = append(out, v.paint("\x1b[2m", fmt.Sprintf("%-16s %8s %12s %12s", "class", "wait", "a second", "p99")))
	at := rowWaits + len(waitWords)
	for i, name := range now.Classes {
		out = append(out, fmt.Sprintf("%-16s %8s %12s %12s", plain(name), number(row[at+i]), number(row[at+classes+i]), span(row[at+2*classes+i])))
	}
	if row[rowRefused] > 0 {
		out = append(out, v.paint("\x1b[1;33m", number(row[rowRefused])+" refused a second"))
	}
	return out
}

// bar is what statements wait for, and who waits in the guard, each one character as far as there is room, and what the characters mean.
func (v *view) bar(row []float64, classes []string) []string {
	var bar, words strings.Builder
	add := func(mark, word string, n float64) {
		if n < 0.5 {
			return
		}
		bar.WriteString(strings.Repeat(mark, min(int(math.Round(n)), 500)))
		if words.Len() > 0 {
			words.WriteString("  ")
		}
		fmt.Fprintf(&words, "%s %s %s", mark, word, number(n))
	}
	for i, word := range waitWords {
		add(waitMarks[i], word, row[i])
	}
	for i, class := range classes {
		add("/", plain(class)+" waits in pgguard", row[len(waitWords)+i])
	}
	if bar.Len() == 0 {
		return []string{"nothing runs"}
	}
	return []string{bar.String(), words.String()}
}

func (v *view) crowds(d *dashboard.NowDatabase) []string {
	out := []string{v.paint("\x1b[2m", fmt.Sprintf("%7s %7s %7s %7s %7s  %s", "clients", "run", "wait", "idle tx", "unread", "application_name"))}
	for _, c := range d.Crowds {
		name := c.Application
		if name == "" {
			name = "(no name)"
		}
		out = append(out, fmt.Sprintf("%7d %7d %7d %7d %7d  %s", c.Clients, c.Active, c.Waiting, c.Idling, c.Unread, plain(name)))
	}
	return out
}

func (v *view) queries(now *dashboard.Now) []string {
	out := []string{v.paint("\x1b[2m", fmt.Sprintf("%6s %9s %9s  %s", "share", "a second", "mean", "statement"))}
	for _, q := range now.Queries {
		name := q.Called
		if name == "" {
			name = q.Fingerprint
		}
		if q.Query != "" {
			name += ": " + q.Query
		}
		out = append(out, fmt.Sprintf("%5.0f%% %9s %9s  %s", 100*q.Share, number(q.Calls), span(q.Mean), plain(name)))
	}
	return out
}

func (v *view) journal(now *dashboard.Now) []string {
	out := []string{v.paint("\x1b[2m", "decided")}
	for _, e := range now.Journal {
		text := time.UnixMilli(e.Time).Format("15:04:05") + "  " + plain(e.Text)
		if e.Effect != "" {
			text += "  [" + plain(e.Effect) + "]"
		}
		out = append(out, text)
	}
	return out
}

func (v *view) incidents(now *dashboard.Now) []string {
	out := []string{v.paint("\x1b[2m", "incidents")}
	for _, in := range now.Incidents {
		took := "goes on"
		if in.End > 0 {
			took = span(float64(max(1, in.End-in.Begin)))
		}
		out = append(out, fmt.Sprintf("%s  %-8s %6d refused  %s", time.Unix(in.Begin, 0).Format("01-02 15:04:05"), took, in.Refused, plain(in.Sentence)))
	}
	return out
}

// paint gives a text a colour, where there are colours.
func (v *view) paint(color, text string) string {
	if !v.color {
		return text
	}
	return color + text + "\x1b[0m"
}

// wrap breaks a text into lines, at most four.
func (v *view) wrap(text string) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > v.width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines[:min(len(lines), 4)]
}

// cut makes a line as wide as the screen at most; colours take no room, and end with the line.
func (v *view) cut(line string) string {
	room, inside := v.width, false
	for i, r := range line {
		switch {
		case r == '\x1b':
			inside = true
		case inside:
			inside = r != 'm'
		case room == 0:
			if v.color {
				return line[:i] + "\x1b[0m"
			}
			return line[:i]
		default:
			room--
		}
	}
	return line
}

// number is one as a person reads it.
func number(x float64) string {
	if x >= 10 || x == math.Trunc(x) {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.1f", x)
}

// span is a time in seconds as a person says it.
func span(s float64) string {
	switch {
	case s == 0:
		return "-"
	case s < 1:
		return number(1000*s) + " ms"
	case s < 120:
		return number(s) + " s"
	case s < 7200:
		return number(s/60) + " min"
	}
	return number(s/3600) + " h"
}
