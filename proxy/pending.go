package proxy

// What statements there are depends on ops whose answers have not come. Inside a batch all of them succeed, or what
// follows is skipped; what was sent before the last Sync may have failed all the same.

// doubtful is true if it depends on ops sent before the last Sync, whose answers have not come, whether the server has st.
func (e *exchange) doubtful(st *statement) bool {
	for i := e.firstOp; i < e.sealed; i++ {
		if o := &e.ops[i]; o.st == st || o.closes == st {
			return true
		}
	}
	return false
}

// concerns is true if an op outstanding says whether the server has st.
func (e *exchange) concerns(st *statement) bool {
	for i := e.firstOp; i < len(e.ops); i++ {
		if o := &e.ops[i]; o.st == st || o.closes == st {
			return true
		}
	}
	return false
}

// unsettled is true if it depends on such ops what names mean, or, if unnamed is true, what the unnamed statement is.
func (e *exchange) unsettled(unnamed bool) bool {
	for i := e.firstOp; i < e.sealed; i++ {
		if e.ops[i].name != "" {
			return true
		}
	}
	if !unnamed || e.loose == 0 {
		return false
	}
	for i := len(e.ops) - 1; i >= e.sealed; i-- {
		if e.ops[i].unnamed {
			return false
		}
	}
	return true
}

// lastUnnamed returns the newest outstanding op that changes the unnamed statement, nil if there is none.
func (e *exchange) lastUnnamed() *op {
	if e.loose == 0 {
		return nil
	}
	i := len(e.ops) - 1
	for !e.ops[i].unnamed {
		i--
	}
	return &e.ops[i]
}

// unnamedLocked returns what the client's unnamed statement is if all that was sent succeeds.
func (s *session) unnamedLocked() *statement {
	if o := s.ex.lastUnnamed(); o != nil {
		return o.is
	}
	return s.unnamed
}
