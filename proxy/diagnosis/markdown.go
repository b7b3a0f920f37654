package diagnosis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"pgguard/pool/event"
	"pgguard/pool/sorting"
)

// Markdown is the incidents, the last one first, as the timeline that a review starts from, with the decisions among events that were made in them. All
// text in it that may be a stranger's is escaped. Times are of the guard's zone, as in its sentences.
func Markdown(incidents []Incident, events []event.Event) string {
	if len(incidents) == 0 {
		return "Nothing was wrong.\n"
	}
	var out strings.Builder
	for i := range incidents {
		if i > 0 {
			out.WriteByte('\n')
		}
		incidents[i].write(&out, events)
	}
	return out.String()
}

// write writes one incident.
func (in *Incident) write(out *strings.Builder, events []event.Event) {
	fmt.Fprintf(out, "## %s %s: %s (%s)\n\n", in.Begin.Format("2006-01-02 15:04:05 MST"), escape(in.Database), escape(in.State.String()), in.lasted())
	fmt.Fprintf(out, "%s\n\n*%s*\n\n", escape(in.Sentence), escape(in.Advice))
	fmt.Fprintf(out, "At the worst, %s: %s for up to %s, %d ran, %d waited for locks.\n\n", clock(in.Peak.At), waits(in.Peak.Waiting),
		seconds(in.Peak.OldestSeconds), in.Peak.Running, in.Peak.Blocked)
	out.WriteString("| time | what |\n|---|---|\n")
	for _, line := range in.timeline(events) {
		fmt.Fprintf(out, "| %s | %s |\n", clock(line.at), escape(line.text))
	}
	if in.MoreTurns > 0 {
		fmt.Fprintf(out, "\n%d more changes are not kept.\n", in.MoreTurns)
	}
	if len(in.Refused) == 0 {
		out.WriteString("\nNobody was refused.\n")
		return
	}
	out.WriteString("\n| class | refused because | how often |\n|---|---|---|\n")
	for _, class := range slices.Sorted(maps.Keys(in.Refused)) {
		for _, reason := range slices.Sorted(maps.Keys(in.Refused[class])) {
			fmt.Fprintf(out, "| %s | %s | %d |\n", escape(class), escape(reason), in.Refused[class][reason])
		}
	}
}

// lasted says how long it was.
func (in *Incident) lasted() string {
	if in.End.IsZero() {
		return "goes on"
	}
	return span(in.End.Sub(in.Begin))
}

// moment is one line of a timeline.
type moment struct {
	at   time.Time
	text string
}

// timeline is what was said and decided in an incident, in order; what was decided for another database is not of it.
func (in *Incident) timeline(events []event.Event) (list []moment) {
	for _, t := range in.Turns {
		list = append(list, moment{t.At, t.Sentence})
	}
	for i := range events {
		e := &events[i]
		if e.Kind == event.Verdict || e.Database != "" && e.Database != in.Database || e.Time.Before(in.Begin) || (!in.End.IsZero() && e.Time.After(in.End)) {
			continue
		}
		list = append(list, moment{e.Time, Decision(e)})
	}
	if !in.End.IsZero() {
		list = append(list, moment{in.End, "It is over."})
	}
	sorting.By(list, func(a, b moment) int { return a.at.Compare(b.at) })
	return list
}

// escape makes a text that Markdown, and the HTML that it becomes, shows as it is.
func escape(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case !unicode.IsPrint(r): // from a file, or somebody else's guard
			out.WriteByte('?')
		case r == '<':
			out.WriteString("&lt;")
		case r == '>':
			out.WriteString("&gt;")
		case r == '&':
			out.WriteString("&amp;")
		case strings.ContainsRune("\\`*_[]|~#!@", r):
			out.WriteByte('\\')
			out.WriteRune(r)
		default:
			out.WriteRune(r)
		}
	}
	// What looks like an address would become a link.
	return strings.ReplaceAll(strings.ReplaceAll(out.String(), "://", "\\://"), "www.", "www\\.")
}
