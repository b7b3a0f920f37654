package translate

import "sync/atomic"

// Server is what a server's session is. It belongs to whoever has the server.
type Server struct {
	settings Settings   // what is set in it
	encoding string     // its client_encoding, as it says itself
	strings  string     // its standard_conforming_strings, if it has said that since its login
	prepared prepared   // the guard's statements in it
	stock    []*stocked // statements that its last client has prepared by SQL
	unnamed  unnamed    // its unnamed statement
	memory   *memory    // whose values of sequences it remembers; nil: nobody's
	writes   writes     // as its server counted them when it was asked last

	parsed uint64 // statements that it has prepared for clients since TakePrepared

	stained bool // it has what nothing takes back, of a client that may not keep it

	told atomic.Uint32 // how often it has told, by itself, another environment in which texts are read
}

// Stained is true for a server that nobody may be lent any more.
func (s *Server) Stained() bool { return s.stained }

// memory tells apart clients whose values of sequences a server remembers (lastval and currval).
type memory struct{ _ byte }

// mixed is of a server that remembers several clients' values.
var mixed = new(memory)

// unnamed is what is known of a server's unnamed statement. The zero value is: nothing.
type unnamed struct {
	known bool
	st    *Statement // nil: there is none
}

// none is of a server that has no unnamed statement.
var none = unnamed{known: true}

// only is of a server whose unnamed statement is st.
func only(st *Statement) unnamed { return unnamed{true, st} }

// NewServer returns a server that has just been logged in to.
func NewServer() Server { return Server{settings: Plain, unnamed: none} }

// Prepared is how many of the guard's statements the server has.
func (s *Server) Prepared() int { return len(s.prepared.entries) }

// TakePrepared is how many statements the server has prepared since it was asked last.
func (s *Server) TakePrepared() uint64 {
	n := s.parsed
	s.parsed = 0
	return n
}

// Told notes a setting that the server reports, before it was lent: a lease notes those after.
func (s *Server) Told(name, value string) {
	switch name {
	case settingEncoding:
		s.encoding = value
	case settingStrings:
		s.strings = value
	}
}

// ToldIdle notes a setting that the server reports while nobody has it: its configuration was read anew. Any goroutine may call it.
func (s *Server) ToldIdle(name string) {
	if reads[name] {
		s.told.Add(1)
	}
}

// reads has the settings, of those that servers report, under which texts are read.
var reads = map[string]bool{
	"TimeZone": true, "DateStyle": true, "IntervalStyle": true, "standard_conforming_strings": true, "client_encoding": true, "search_path": true,
}

// forgetStatements notes that the server has none any more.
func (s *Server) forgetStatements() {
	s.prepared.clear()
	s.stock = nil
	s.unnamed = unnamed{}
}
