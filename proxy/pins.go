package proxy

import "pgguard/proxy/sql"

// pins is a set of reasons for which a client keeps its server between transactions, or may come to do so. The low bits
// are sql.Residue.
type pins uint32

const (
	// pinFunction: the client ran something whose effect on its session the text does not show: a function that is not
	// known to be harmless, DO or CALL.
	pinFunction pins = 1 << 16
	// pinOpaque: the text sets a setting whose name is not in it.
	pinOpaque pins = 1 << 17
)

// pinSequence is the only reason that may be given up: without its server the client's currval is an error, as before
// its first nextval.
const pinSequence = pins(sql.Sequence)

// unasked are the reasons that are not asked about.
const unasked = pins(sql.Sequence | sql.Load)

// pinNames are the metric labels, in the order in which they are shown.
var pinNames = []string{
	"prepared", "setting", "temp_table", "advisory_lock", "listen", "cursor", "sequence", "load", "function",
}

// pinsOf says what a statement may leave in the session of its server.
func pinsOf(r sql.Result) pins {
	p := pins(r.Residue)
	if r.Ask {
		p |= pinFunction
	}
	return p
}

// each calls f with the index in pinNames of every reason in p.
func (p pins) each(f func(i int)) {
	for i := range pinNames {
		bit := pins(1) << i
		if i == len(pinNames)-1 {
			bit = pinFunction
		}
		if p&bit != 0 {
			f(i)
		}
	}
}

// String returns the reasons, joined by commas.
func (p pins) String() string {
	text := ""
	p.each(func(i int) {
		if text != "" {
			text += ","
		}
		text += pinNames[i]
	})
	return text
}

// verdictLocked ends the suspicions of a transaction: of the reasons asked about, found are those that are there.
func (s *session) verdictLocked(of, found pins) {
	was := s.pins
	s.pins = s.pins&^(of|s.forgotten) | found
	s.forgotten = 0
	(s.pins &^ was).each(func(i int) { s.srv.count.pins[i].Add(1) })
	if (s.pins^was)&pins(sql.TempTable) != 0 {
		age := s.route.catalog.Renew() // names of tables mean something else
		if !s.hidden && s.hides == 0 {
			s.hides = age
		}
		s.hidden = s.hidden || found&pins(sql.TempTable) != 0
	}
	inst := s.route.inst
	switch {
	case was == 0 && s.pins != 0:
		if !inst.Pin() {
			s.pins &^= pinSequence
			s.excess = s.pins != 0
			if s.pins == 0 {
				inst.Unpin()
			}
		}
	case was != 0 && s.pins == 0:
		inst.Unpin()
	}
}

// unpinLocked notes that the client has no server any more, or none that holds anything for it.
func (s *session) unpinLocked() {
	if s.pins != 0 {
		s.route.inst.Unpin()
	}
	s.pins, s.suspect, s.undo, s.forgotten, s.flux, s.excess = 0, 0, 0, 0, false, false
}
