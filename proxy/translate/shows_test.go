package translate

import (
	"fmt"
	"slices"
	"strings"

	"pgguard/proxy/wire"
)

// shows is a statement for a story: by its number if it has a name on servers, else by its text.
func (st *Statement) shows() string {
	switch {
	case st == nil:
		return "?"
	case st.Name != "":
		return "#" + strings.TrimPrefix(st.Name, StatementPrefix)
	case st.Body == "":
		return "long"
	}
	return fmt.Sprintf("%q", st.Text())
}

var whoses = [...]string{client: "", guard: "guard's ", standIn: "stand-in "}

var purposes = [...]string{
	nothing: "", settings: " for settings", begin: " for begin", fail: " to fail", fresh: " anew", check: " to check", sequence: " for sequences", ask: " to ask", discard: " to discard", order: " as ordered", settle: " to settle",
}

// shows is an expectation for a story.
func (e *expectation) shows() string {
	text := whoses[e.whose] + kinds[e.kind].name + purposes[e.why]
	var list []string
	note := func(is bool, format string, args ...any) {
		if is {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	was := func(st *Statement) string {
		if st == nil {
			return "nothing"
		}
		return st.shows()
	}
	note(e.adds != "", "adds #%s", strings.TrimPrefix(e.adds, StatementPrefix))
	if e.drops != nil {
		note(true, "drops #%s", strings.TrimPrefix(e.drops.name, StatementPrefix))
	}
	note(e.name != "", "%s was %s", e.name, was(e.meant))
	note(e.unnamed, "unnamed was %s", was(e.before))
	note(e.server, "server's unnamed")
	note(e.sequences, "sequences")
	note(e.deallocates, "deallocates")
	note(e.hands, "hands over")
	note(e.said != nil && e.said != noName, "says %s", e.name2())
	note(e.of != nil, "of %s", was(e.of))
	note(e.data, "data")
	note(e.end, "end of data")
	if len(list) > 0 {
		text += " (" + strings.Join(list, ", ") + ")"
	}
	return text
}

func (e *expectation) name2() string {
	if e.said == nil {
		return ""
	}
	return e.said.text
}

// shows is the row of what the server owes.
func (o *owed) shows() string {
	var list []string
	for i := o.first; i < len(o.row); i++ {
		list = append(list, o.row[i].shows())
	}
	return strings.Join(list, "; ")
}

// shows is what there is to know of a lease but the row.
func (l *Lease) shows() string {
	list := []string{"busy " + string(l.status)}
	if l.Quiet() {
		list[0] = "quiet " + string(l.status)
	}
	for _, f := range []struct {
		is   bool
		text string
	}{
		{l.readies > 0, fmt.Sprintf("owes %d", l.readies)},
		{l.Holds(), "holds"},
		{l.Preparing(), "prepares"},
		{l.unsynced, "unsynced"},
		{l.executed, "executed"},
		{l.skipping, "skipping"},
		{l.partial, "partial"},
		{l.copying.in, "copying"},
		{l.copying.data, "data"},
		{l.copying.end, "end of data"},
		{l.copying.early, "a Sync in it"},
		{l.unsettled, "unsettled"},
		{l.stands, "stands"},
		{l.Open() && l.status == wire.Idle, "open"},
		{!l.Open() && l.status != wire.Idle, "over"},
		{l.MayLast(), "may last"},
		{l.Astray(), "astray"},
		{l.write, "writes"},
		{l.dedicated, "dedicated"},
		{l.lingers, "lingers"},
		{l.flux, "in flux"},
		{l.ddl, "ddl"},
		{l.question != nil, "asks"},
		{l.kept, "kept"},
		{l.heals, "heals"},
		{l.renews, "renews"},
		{l.discarded, "discarded"},
		{l.excess, "excess"},
		{l.gone, "gone"},
		{l.doubt, "in doubt"},
		{l.failed != nil, "failed"},
		{l.fatal != nil, "ended"},
	} {
		if f.is {
			list = append(list, f.text)
		}
	}
	for _, p := range []struct {
		is   Pins
		text string
	}{{l.pins, "pins"}, {l.suspect, "suspects"}, {l.Stays(), "stays"}, {l.undo, "undoes"}, {l.forgotten, "forgot"}, {l.excessive, "refused"}} {
		if p.is != 0 {
			list = append(list, p.text+" "+p.is.String())
		}
	}
	return strings.Join(list, ", ")
}

// shows is a client's session: its names, its unnamed statement, and its settings.
func (c *Client) shows() string {
	var list []string
	for text, n := range c.names {
		list = append(list, text+"="+n.st.shows())
	}
	slices.Sort(list)
	if c.unnamed != nil {
		list = append(list, "unnamed="+c.unnamed.shows())
	}
	if list = append(list, c.settings.shows()...); len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, " ")
}

// shows is a server's session: what is prepared in it, the statement used last at the end, its unnamed one, and its settings.
func (s *Server) shows() string {
	var list []string
	for e := s.prepared.oldest; e != nil; e = e.newer {
		list = append(list, "#"+strings.TrimPrefix(e.name, StatementPrefix))
	}
	list = append(append(list, "unnamed="+s.unnamed.shows()), s.settings.shows()...)
	if s.memory != nil && s.memory != mixed {
		list = append(list, "sequences of one client")
	}
	return strings.Join(list, " ")
}

func (s Settings) shows() (list []string) {
	for _, p := range s.pairs() {
		list = append(list, "set "+p.Name+"="+p.Value)
	}
	return list
}

// shows is what is known of a server's unnamed statement, for a story.
func (u unnamed) shows() string {
	switch {
	case !u.known:
		return "?"
	case u.st == nil:
		return "none"
	}
	return u.st.shows()
}
