package translate

import "pgguard/proxy/sql"

// Pins is a set of reasons for which a client keeps its server between transactions, or may come to do so. The low bits
// are sql.Residue.
type Pins uint32

const (
	// PinFunction: the client ran something whose effect on its session the text does not show: a function that is not
	// known to be harmless, DO or CALL.
	PinFunction Pins = 1 << 16
	// PinDedicated: the client did what is seldom done and dear to follow; its statements are in that server by their own names.
	PinDedicated Pins = 1 << 17
	// pinOpaque: the text sets a setting whose name is not in it.
	pinOpaque Pins = 1 << 18
)

// PinSequence is the only reason that may be given up: without its server the client's currval is an error, as before
// its first nextval.
const PinSequence = Pins(sql.Sequence)

// unasked are the reasons that are not asked about.
const unasked = Pins(sql.Sequence|sql.Load) | PinDedicated

// asked are the residues of which the server knows whether they are there.
const asked = Pins(sql.Prepared | sql.Setting | sql.TempTable | sql.AdvisoryLock | sql.Listen | sql.Cursor)

// PinNames are the metric labels, in the order in which they are shown.
var PinNames = []string{
	"prepared", "setting", "temp_table", "advisory_lock", "listen", "cursor", "sequence", "load", "function", "dedicated",
}

// pinsOf says what a statement may leave in the session of its server.
func pinsOf(r sql.Result) Pins {
	p := Pins(r.Residue)
	if r.Ask {
		p |= PinFunction
	}
	return p
}

// Each calls f with the index in PinNames of every reason in p.
func (p Pins) Each(f func(i int)) {
	for i := range PinNames {
		bit := Pins(1) << i
		switch PinNames[i] {
		case "function":
			bit = PinFunction
		case "dedicated":
			bit = PinDedicated
		}
		if p&bit != 0 {
			f(i)
		}
	}
}

// String returns the reasons, joined by commas.
func (p Pins) String() string {
	text := ""
	p.Each(func(i int) {
		if text != "" {
			text += ","
		}
		text += PinNames[i]
	})
	return text
}
