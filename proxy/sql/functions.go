package sql

import (
	_ "embed" // the lists of functions
	"strings"
)

// function is what calling a function of some name may do.
type function uint8

// The kinds of function.
const (
	fnUnknown function = iota
	fnReads            // leaves nothing, writes nothing
	fnWrites           // leaves nothing
	fnKeyword          // grammar, not a call
	fnEither           // grammar or a function that reads
	fnConfig           // set_config
	fnAdvisory
	fnUnlock
	fnSequence
	fnCurrval
	fnSetting
	fnLoad
)

// MaxName is the longest name PostgreSQL keeps (NAMEDATALEN less one), in bytes.
const MaxName = 63

// functionSections is what the headings in the lists mean.
var functionSections = map[string]function{
	"[ask]": fnUnknown, "[reads]": fnReads, "[writes]": fnWrites, "[keywords]": fnKeyword, "[config]": fnConfig,
	"[advisory_lock]": fnAdvisory, "[advisory_unlock]": fnUnlock, "[sequence]": fnSequence, "[currval]": fnCurrval,
	"[setting]": fnSetting, "[load]": fnLoad,
}

//go:generate sh -c "psql -AtX -f functions.sql postgres | fold -s -w 118 | sed 's/ *$//' > functions_catalog.txt"

//go:embed functions_catalog.txt
var functionsCatalog string

//go:embed functions_hand.txt
var functionsHand string

// functionSlots is a hash table of the lists with open addressing, about a quarter full.
var functionSlots [1 << 13]struct {
	name string
	kind function
}

func init() {
	readFunctions(functionsCatalog, addFunction)
	readFunctions(functionsHand, addFunction)
}

// readFunctions gives each name of a list to add, with the kind of its section.
func readFunctions(list string, add func(name string, kind function)) {
	kind := fnUnknown
	for line := range strings.Lines(list) {
		if line[0] == '#' {
			continue
		}
		for name := range strings.FieldsSeq(line) {
			if name[0] != '[' {
				add(name, kind)
				continue
			}
			section, ok := functionSections[name]
			if !ok {
				panic("sql: unknown section " + name + " in a list of functions")
			}
			kind = section
		}
	}
}

// addFunction enters name as kind. What was said of it before is forgotten, but that it is a key word as well.
func addFunction(name string, kind function) {
	var lower [MaxName]byte
	slot := functionHash(lower[:copy(lower[:], name)])
	for functionSlots[slot].name != "" && functionSlots[slot].name != name {
		slot = (slot + 1) % uint32(len(functionSlots))
	}
	f := &functionSlots[slot]
	if f.kind == fnReads && kind == fnKeyword || f.kind == fnKeyword && kind == fnReads {
		kind = fnEither
	}
	f.name, f.kind = name, kind
}

// functionHash is a slot for the name b, which is in lower case.
func functionHash(b []byte) uint32 {
	h := uint32(len(b))
	for _, c := range b {
		h = (h ^ uint32(c)) * 0x01000193 // FNV's prime for 32 bits
	}
	return (h ^ h>>15) % uint32(len(functionSlots))
}

// Knows is true for the name of a function, as it is written, that Scan need not ask about: a user's own of that name is taken for it.
func Knows(name string) bool { return functionOf([]byte(name), true) != fnUnknown }

// functionOf returns what calling the function b may do. Exact names are taken as they are written, others in any case.
func functionOf(b []byte, exact bool) function {
	if len(b) > MaxName {
		return fnUnknown
	}
	var lower [MaxName]byte
	name := lower[:copy(lower[:], b)]
	if !exact {
		for i, c := range name {
			name[i] = fold[c]
		}
	}
	for slot := functionHash(name); functionSlots[slot].name != ""; slot = (slot + 1) % uint32(len(functionSlots)) {
		if f := &functionSlots[slot]; f.name == string(name) {
			return f.kind
		}
	}
	if len(name) > 3 && string(name[:3]) == "st_" { // PostGIS
		return fnReads
	}
	return fnUnknown
}
