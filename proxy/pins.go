package proxy

import "pgguard/proxy/sql"

// pins is the set of reasons for which a client keeps its server between transactions. The low bits are sql.Residue.
type pins uint32

// pinFunction: the client ran something whose effect on its session the text does not show: a function that is not
// known to be harmless, DO or CALL.
const pinFunction pins = 1 << 16

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
