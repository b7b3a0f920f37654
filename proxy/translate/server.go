package translate

// Server is what a server's session is. It belongs to whoever has the server.
type Server struct {
	settings Settings   // what is set in it
	encoding string     // its client_encoding, as it says itself
	prepared prepared   // the guard's statements in it
	unnamed  *Statement // its unnamed statement; nil: not known
}

// NewServer returns a server that has just been logged in to.
func NewServer() Server { return Server{settings: Plain, unnamed: noStatement} }

// Told notes a setting that the server reports, before it was lent: a lease notes those after.
func (s *Server) Told(name, value string) {
	if name == settingEncoding {
		s.encoding = value
	}
}

// forgetStatements notes that the server has none any more.
func (s *Server) forgetStatements() {
	s.prepared.clear()
	s.unnamed = nil
}
