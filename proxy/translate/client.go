package translate

import (
	"strings"
	"time"

	"pgguard/proxy/sql"
)

// Client is what a client's session is, wherever its server: its settings and its statements, as they are when all that was
// sent succeeds. It belongs to whoever has its session's lock.
type Client struct {
	*Terms
	settings Settings
	plain    Settings // what those are where it has set nothing
	told     string   // what it was told of its application_name
	warns    bool
	names    map[string]*name // its prepared statements
	naming   int              // bytes that these cost beside the statements
	unnamed  *Statement       // the unnamed one; nil: none
	stock    []*stocked       // what it has prepared by SQL
	memory   *memory          // its mark; nil: it has not used a sequence
	hides    Age              // schema age from which its first temporary objects may hide others; 0: none
	hidden   bool             // it has had some
	timeout  int32            // statement_timeout of its start-up packet, as in Settings
}

// name is what a client calls a statement.
type name struct {
	text string
	st   *Statement
}

// Terms are what holds for a client from its login to its end. They do not change.
type Terms struct {
	Library Library
	Catalog Catalog
	Room    Room

	User    string // of the session at its login
	Born    string // application_name of a server that was given none
	Began   []Pair // settings of its start-up packet
	Warns   bool   // with them PostgreSQL's warnings are in English and told
	Session bool   // the client has its server to itself: nothing is translated

	Encoding            func() string // client_encoding of a new session
	CountsWrites        func() bool   // servers count what they write to their catalogs at once: PostgreSQL 15
	MaxPrepared         int           // statements that one server is to have
	StatementAge        time.Duration // how old a server's copy of one may be that a client prepares anew
	PrepareUnnamed      bool          // unnamed ones that come again are kept on servers
	SyncApplicationName bool          // application_name moves like other settings
}

// Catalog is what is known of a database beside what its servers say by themselves. Any goroutine may call its methods.
type Catalog interface {
	// Age is that of a statement prepared now.
	Age() Age
	// Renew makes all statements prepared before older than those prepared from now on.
	Renew() Age
	// Changed notes a change that text, if it is known, is about to make, or that something has made. functions: it may be about them, or about
	// what runs them.
	Changed(text []byte) (functions bool)
	// Written notes that a server has counted a change that nobody has told of; functions: to functions, or to what runs them, too.
	Written(functions bool)
	// Committed notes the end of a transaction that has changed something; functions: as Changed said.
	Committed(functions bool)
	// Stirred notes the end of a transaction that may have changed what a login gets.
	Stirred()
	// Currval says whether any client has asked for the value that its session took from a sequence last.
	Currval() bool
	// NoteCurrval notes that one has.
	NoteCurrval()
	// Learn takes the names of the custom settings that a text may set. opaque: it may set others, too.
	Learn(text []byte) (opaque bool)
	// Customs are the names known, whether the bodies of functions should be read for more, and how often those have changed.
	Customs() (names []string, stale bool, bodies uint64)
	// Functions takes the bodies of all functions that may set something, read after that many changes.
	Functions(bodies [][]byte, changes uint64)
	// Opaque is true if a function may set what nobody knows the name of; unseen: one that may run where its name is not in the text.
	Opaque(unseen bool) bool
	// Unseen is true if a function may run whose name is not in the text, and leave something in its session, or nobody knows.
	Unseen() bool
	// Leaves is true if there is a function that leaves something in its session, whatever runs it, or nobody knows.
	Leaves() bool
	// RunsUnseen is true if such a function was there when it was read last.
	RunsUnseen() bool
	// Unread notes that who was told to read will not.
	Unread()
	// ReadUnseen is true if what that depends on is to be read, by who was told so; changes is how often it has changed.
	ReadUnseen() (read bool, changes uint64)
	// Ran takes the functions that leave something, and how they run, read after that many changes.
	Ran(ways []Way, changes uint64)
}

// Way is how a function that leaves something in its session runs where its name is not in the text: behind what PostgreSQL describes so. One
// whose By is empty is called by its name alone. Body is empty for one that only runs others.
type Way struct{ Function, By, Body string }

// NewClient returns a client that has just logged in. Its application_name is its servers'.
func NewClient(t *Terms) Client {
	return Client{Terms: t, settings: Plain, plain: Plain, warns: t.Warns, timeout: timeoutOf(t.began("statement_timeout", "0"))}
}

// Call gives a client that has just logged in the application_name of its start-up packet, "" if that has none, as a server would
// report it.
func (c *Client) Call(name string) {
	c.plain, c.told = Plain.Called(name), name
	c.settings = c.plain
}

// Settle has the client be where other terms hold: its database is elsewhere, and is read anew. It keeps what it has set and prepared.
func (c *Client) Settle(t *Terms) {
	c.Terms = t
	if c.memory = nil; c.hides != 0 {
		c.hides = t.Catalog.Renew()
	}
}

// ToldName notes what the client is told of its application_name now, and returns that; news: it was told something else before.
func (c *Client) ToldName() (name string, news bool) {
	name, set := c.settings.Get(settingName)
	news = set && c.told != name
	c.told = name
	return name, news
}

// Name is the client's application_name; "": its server's.
func (c *Client) Name() string {
	name, _ := c.settings.Get(settingName)
	return name
}

// Statements is how many the client has prepared.
func (c *Client) Statements() int { return len(c.names) }

// Renamed is true if the client has another application_name than it had at its login.
func (c *Client) Renamed() bool { return c.settings.called != c.plain.called }

// Settings are what the client has set, as of the last end of a transaction.
func (c *Client) Settings() Settings { return c.settings }

// MayWarn is true if PostgreSQL would tell the client its warnings, and in English.
func (c *Client) MayWarn() bool { return c.warns }

// Set gives the session its settings, as a server would.
func (c *Client) Set(to Settings) {
	c.settings, c.warns = to, c.Terms.Warns
	if c.warns && to.all != Plain.all {
		_, level := to.Get("client_min_messages")
		_, language := to.Get("lc_messages")
		c.warns = !level && !language
	}
}

// called returns the statement that a name means, nil if none of that name is known.
func (c *Client) called(text []byte) *Statement {
	if len(text) == 0 {
		return c.unnamed
	}
	if n := c.names[string(clip(text))]; n != nil {
		return n.st
	}
	return nil
}

// noName is what the client calls its unnamed statement where that has a name of the guard's.
var noName = &name{}

// said is a name as the client has written it, with what it means; nil if none of that name is known. PostgreSQL's errors have all of a
// name that is too long, though it keeps only the start.
func (c *Client) said(text []byte) *name {
	if len(text) == 0 && c.unnamed != nil && c.unnamed.Name != "" {
		return noName
	}
	n := c.names[string(clip(text))]
	if n == nil || len(text) <= NameSize {
		return n
	}
	return &name{string(text), n.st}
}

// setName makes a name mean st, or nothing if st is nil.
func (c *Client) setName(text string, st *Statement) {
	if old := c.names[text]; old != nil {
		c.naming -= nameCost + len(text)
		c.drop(old.st)
	}
	if st == nil {
		delete(c.names, text)
		return
	}
	if c.names == nil {
		c.names = map[string]*name{}
	}
	c.names[text] = &name{text, st}
	c.naming += nameCost + len(text)
	if st.Held.Add(1) == 1 && !st.Shared {
		c.Library.Count(st, true)
	}
}

// drop notes that a name of the client's does not mean st any more.
func (c *Client) drop(st *Statement) {
	if st.Held.Add(-1) == 0 && !st.Shared {
		c.Library.Count(st, false)
	}
}

// nameCost is what a name costs beside its text: its place in the map, its struct and the texts' headers.
const nameCost = 144

// maxNaming is how many bytes the names of one client may cost, about six thousand: drivers keep up to a thousand or so, and who never closes
// any has as many as statements. Those beyond are known to the server alone, which the client keeps for them.
const maxNaming = 1 << 20

// Deallocate forgets a statement that the client has prepared, unless its server keeps it, and says whether there was one of that name.
func (c *Client) Deallocate(text []byte) bool {
	if st := inStock(c.stock, string(text)); st != nil {
		c.stock = without(c.stock, st)
		return true
	}
	if c.names[string(text)] == nil {
		return false
	}
	c.setName(string(text), nil)
	return true
}

// Close forgets the statement of that name, as a Close does, if there is one. Its server must not keep any for it.
func (c *Client) Close(text []byte) {
	if len(text) == 0 {
		c.ForgetUnnamed()
		return
	}
	c.Deallocate(clip(text))
}

// DeallocateAll forgets all of the client's statements but the unnamed one.
func (c *Client) DeallocateAll() {
	for _, n := range c.names {
		c.drop(n.st)
	}
	c.names, c.naming, c.stock = nil, 0, nil
}

// DiscardAll makes the session like a new one.
func (c *Client) DiscardAll() {
	c.DeallocateAll()
	c.unnamed = nil
	c.Set(c.plain)
}

// ForgetUnnamed forgets the unnamed statement, as a simple query does.
func (c *Client) ForgetUnnamed() { c.unnamed = nil }

// ParseUnnamed prepares the unnamed statement, as a Parse with this body does.
func (c *Client) ParseUnnamed(body []byte) {
	c.unnamed = c.Library.Unnamed(body, c.settings.parsing, c.Catalog.Age())
}

// ParseNamed prepares a statement, as a Parse of that name with this body behind it does, and answers false if a server must: the name is taken, say.
func (c *Client) ParseNamed(called, body []byte) bool {
	key := string(clip(called))
	if c.Session || c.naming > maxNaming || c.names[key] != nil || inStock(c.stock, key) != nil || strings.HasPrefix(key, StatementPrefix) {
		return false
	}
	st := c.Library.Named(body, c.settings.parsing, c.Catalog.Age())
	if st != nil {
		c.setName(key, st)
	}
	return st != nil
}

// Meaning is what the statement that a name means may do; known is false if its text is not.
func (c *Client) Meaning(called []byte) (res sql.Result, known bool) {
	if st := c.called(called); st != nil && st.Body != "" {
		return st.Scan, true
	}
	return res, false
}

// TextOf is the text of the statement that a name means, nil if none of that name is known.
func (c *Client) TextOf(text []byte) []byte {
	if st := c.called(text); st != nil && len(text) > 0 {
		return st.Text()
	}
	return nil
}

// hasty is true if a timeout of these settings may end what the guard runs ahead of a client's statement.
func (t *Terms) hasty(s Settings) bool {
	if s.haste != unhurried {
		return s.haste == hasty
	}
	for _, p := range t.Began {
		if hasteOf(p.Name, p.Value) == hasty {
			return true
		}
	}
	return false
}

// began is what a setting is in a new session, as far as its own start-up packet says, else usual. Names are in lower case.
func (t *Terms) began(name, usual string) string {
	for _, p := range t.Began {
		if p.Name == name {
			return p.Value
		}
	}
	return usual
}

// mark is what a server's memory of sequences is called if it is this client's alone.
func (c *Client) mark() *memory {
	if c.memory == nil {
		c.memory = new(memory)
	}
	return c.memory
}

// hide notes that what has been sent may make the client's first temporary object, for which suspect has the reason: PostgreSQL reads
// all of a session's statements again then, but not on a server that has seen such an object before.
func (c *Client) hide(suspect Pins) {
	if suspect&Pins(sql.TempTable) != 0 && !c.hidden {
		c.hides = c.Catalog.Renew()
	}
}
