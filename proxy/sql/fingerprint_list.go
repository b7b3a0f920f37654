package sql

// list is an IN (…), whose elements are between commas, or the rows of VALUES, whose elements are in parentheses. An
// element that says what the one before it said is dropped: the sum of the text goes back to where that one ended.
type list struct {
	values  bool
	mixed   bool   // some element of IN is no constant, so that it may be a query
	gap     byte   // between the rows of VALUES: ) or , whichever was read last
	depth   int    // of parentheses, in an element
	element uint64 // the sum of this element, with all constants alike
	last    uint64 // that of the one before
	kept    uint64 // the sum of all that were kept
	sum     uint64 // that of the text up to the end of the one before
	params  int    // in this element
	highest int    // of them
}

// oneLiteral is the sum of an element that is one constant.
var oneLiteral = mix(0, literalSum)

// passed reports whether l has ended before a lexeme of kind k that begins with c.
func (l *list) passed(k kind, c byte) bool {
	switch l.gap {
	case ')':
		return k != kindSymbol || c != ','
	case ',':
		return k != kindSymbol || c != '('
	}
	return false
}

// top is the innermost list that is open.
func (f *fingerprint) top() *list { return &f.lists[f.open-1] }

// list begins an element, and before it a list, if the parenthesis just read does.
func (f *fingerprint) list() {
	if f.open > 0 && f.top().gap == ',' {
		f.top().gap, f.top().element = 0, 0
		return
	}
	if f.before != kindName || f.open == len(f.lists) {
		return
	}
	values := equalFold(f.previous, "values")
	if values || equalFold(f.previous, "in") {
		f.lists[f.open] = list{values: values, depth: f.depth}
		f.open++
	}
}

// keep ends an element, and drops it if so asked.
func (f *fingerprint) keep(drop bool) {
	l := f.top()
	outer := &list{}
	if f.open > 1 {
		outer = &f.lists[f.open-2]
	}
	if drop {
		f.sum = l.sum
		f.shift += l.params
		f.past = max(f.past, l.highest)
	} else {
		l.sum = f.sum
		l.kept = mix(l.kept, l.element)
		outer.params += l.params
	}
	outer.highest = max(outer.highest, l.highest)
	l.mixed = l.mixed || l.element != oneLiteral
	l.last, l.element, l.params, l.highest = l.element, 0, 0, 0
}

// pop closes the innermost list.
func (f *fingerprint) pop() {
	kept := f.top().kept
	f.open--
	if f.open > 0 {
		l := f.top()
		l.element = mix(l.element, kept)
	}
}
