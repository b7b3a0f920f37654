package breaker

// Identity is which PostgreSQL answers at an address. The zero value is not known.
type Identity struct {
	System     string // system_identifier of pg_control_system()
	Timeline   uint32 // timeline_id of pg_control_checkpoint(): one more after each promotion
	InRecovery bool   // pg_is_in_recovery()
}

// Known is false for the zero value.
func (i Identity) Known() bool { return i != Identity{} }

// Changed says whether next is another server than i, or the same in another role: what was learned of the old one does
// not hold. It is false while one of the two is not known. A restart changes nothing.
func (i Identity) Changed(next Identity) bool { return i.Known() && next.Known() && i != next }
