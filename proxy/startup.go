package proxy

import (
	"errors"
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgproto3/v2"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// route is where a client's statements go; equal clients share one.
type route struct {
	inst     *instance.Instance
	key      *pool.Key
	terms    *translate.Terms
	mode     PoolMode
	database string // as the client calls it
	defers   bool   // BEGIN is deferred
	at       *database
	site     *site   // of at, when the route was made
	cfg      *Config // the last by which its key was looked at
}

// hello is what a client's start-up packet says.
type hello struct {
	version         uint32
	user, database  string
	applicationName string
	class           string           // from options=-c guard.class=…
	settings        []translate.Pair // that change a server's session
	unknown         []string         // _pq_ options
	replicates      bool             // asks for a walsender
	namesDatabase   bool             // for logical replication
	replication     string           // in these words
	cover           cover            // of its connection
	negotiated      bool             // it has been told which version is spoken
	proof           []byte           // SCRAM: for the client, ahead of AuthenticationOk; nil: none is owed
}

// welcome logs a client in and serves it until it leaves. It is the goroutine of a new client connection; the session
// runs in one of its own, whose stack has not grown through the login.
func (srv *Server) welcome(nc net.Conn, l *listener) {
	s := &session{srv: srv}
	in := false
	defer func() {
		if !in {
			srv.dismiss(s)
		}
	}()
	run, err := srv.logClientIn(s, nc, l)
	if err != nil {
		srv.clientFailed(s, nc, err)
		return
	}
	in = true
	srv.sessions.Add(1)
	go run(s)
}

// logClientIn reads a client's first packets and answers them. It returns what serves the client from then on.
func (srv *Server) logClientIn(s *session, nc net.Conn, l *listener) (run func(*session), err error) {
	_ = nc.SetDeadline(time.Now().Add(srv.cfg().LoginTimeout))
	socket, shown := nc, &auth.Shown{}
	nc, first, err := srv.enter(shown.In(srv.ctx), nc, l)
	s.conn.Conn = nc
	if !srv.spoke(socket) {
		return nil, errCrowded
	}
	if err != nil {
		return nil, err
	}
	if first.Kind == wire.KindCancel {
		srv.cancelRequest(first)
		return nil, errCancelRequest
	}
	if !srv.logins.enter(srv.ctx.Done()) {
		return nil, errDrained
	}
	h, err := readHello(first)
	if err != nil {
		return nil, err
	}
	h.cover = coverOf(nc, shown)
	if run, err = srv.logGreeterIn(s, nc, socket, l, h); err != nil {
		return nil, &unadmitted{h, err}
	}
	return run, nil
}

// unadmitted is why somebody does not come in who has said who he is.
type unadmitted struct {
	hello *hello
	err   error
}

func (u *unadmitted) Error() string { return u.err.Error() }
func (u *unadmitted) Unwrap() error { return u.err }

// logGreeterIn is logClientIn for who has said who he is, over a socket.
func (srv *Server) logGreeterIn(s *session, nc, socket net.Conn, l *listener, h *hello) (run func(*session), err error) {
	if err := srv.tlsOf(l).identify(h); err != nil {
		return nil, err
	}
	if srv.cfg().Console != nil && IsConsole(h.database) {
		return srv.logOperatorIn(nc, socket, h)
	}
	if srv.closedToClients.Load() {
		return nil, &Refusal{Reason: ReasonDraining, Message: "server shutting down"}
	}
	class, err := srv.classify(l, h)
	if err != nil {
		return nil, err
	}
	if err := srv.authenticate(nc, socket, h); err != nil {
		return nil, err
	}
	s.class, s.own, s.rules = class, class, srv.tagRules(l, h)
	s.user, s.listener = h.user, l.Addr
	s.waiter.Client = srv.application(nc, h)
	if err := srv.admit(s, h.database); err != nil {
		return nil, err
	}
	if s.route, err = srv.routeFor(h, true); err != nil {
		return nil, err
	}
	if h.replicates {
		return srv.logReplicationIn(s, nc, h)
	}
	p, err := srv.remembered(s)
	if err != nil {
		srv.forget(s.route)
		return nil, err
	}
	s.params = p
	s.key = srv.keys.add(s, h.keySize())
	srv.enters(s)
	if err := srv.greet(nc, s, h, p); err != nil {
		srv.keys.remove(s.key)
		srv.forget(s.route)
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	if err := s.conn.Init(nc, srv.cfg().WriteTimeout, &s.in, s.consume); err != nil {
		return nil, err
	}
	s.init(cleanName(h.applicationName, p))
	return srv.runSession, nil
}

// greet sends what PostgreSQL sends after a login.
func (srv *Server) greet(nc net.Conn, s *session, h *hello, p *instance.Params) error {
	out := p.AppendAll(h.appendAccepted(nil), cleanName(h.applicationName, p))
	out = wire.AppendKey(out, s.key.pid, s.key.secret)
	out = wire.AppendReady(out, wire.Idle)
	_, err := nc.Write(out)
	return err
}

// appendAccepted appends the start of the answer to a login: what it has not been told yet of the version of the protocol and the guard's own
// proof, and AuthenticationOk.
func (h *hello) appendAccepted(dst []byte) []byte {
	dst = append(h.appendNegotiation(dst), h.proof...)
	return append(dst, wire.Authentication, 0, 0, 0, 8, 0, 0, 0, 0)
}

// appendNegotiation appends the version of the protocol, once, if it is not the one asked for.
func (h *hello) appendNegotiation(dst []byte) []byte {
	if !h.negotiated && (h.version > wire.Version32 || len(h.unknown) > 0) {
		dst = wire.AppendNegotiate(dst, min(h.version, wire.Version32), h.unknown)
	}
	h.negotiated = true
	return dst
}

// keySize is the length of the client's cancel key.
func (h *hello) keySize() int {
	if h.version >= wire.Version32 {
		return keySize
	}
	return 4
}

// errCancelRequest ends a connection that only carried a cancel request.
var errCancelRequest = errors.New("cancel request")

// errCrowded ends a connection that was closed for another, because it had said nothing.
var errCrowded = errors.New("closed for another connection")

// noUser is PostgreSQL's answer to a login without a user.
var noUser = upstream.ParseError(encode(nil, &pgproto3.ErrorResponse{
	Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "28000",
	Message: "no PostgreSQL user name specified in startup packet",
})[wire.HeaderSize:])

// cleanName is an application_name as a server with these settings reports it: cut, and in printable ASCII.
func cleanName(name string, p *instance.Params) string {
	if len(name) > sql.MaxName {
		cut := sql.MaxName
		for cut > 0 && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut]
	}
	clean := make([]byte, 0, len(name))
	escapes := escapesNames(p.Get("server_version"))
	for _, c := range []byte(name) {
		switch {
		case c >= ' ' && c <= '~':
			clean = append(clean, c)
		case escapes:
			clean = fmt.Appendf(clean, "\\x%02x", c)
		default:
			clean = append(clean, '?')
		}
	}
	return string(clean)
}

// escapesNames is true for the server versions that write what is not ASCII in a name in hexadecimal: since 16.
func escapesNames(version string) bool {
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' }) // 16.1, 19beta1
	if digits < 0 {
		digits = len(version)
	}
	major, err := strconv.Atoi(version[:digits])
	return err == nil && major >= 16
}

// readHello checks and sorts the parameters of a start-up packet.
func readHello(p *wire.Startup) (*hello, error) {
	if p.Version>>16 != 3 {
		return nil, &Refusal{Reason: ReasonUnsupported, Message: fmt.Sprintf(
			"unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", p.Version>>16, p.Version&0xffff)}
	}
	h := &hello{version: p.Version}
	values := map[string]string{}
	set := func(name, value string) { values[strings.ToLower(name)] = value }
	for _, kv := range p.Params { // first, because PostgreSQL lets the other parameters win
		if kv.Name == "options" {
			if err := parseOptions(kv.Value, set); err != nil {
				return nil, &Refusal{Reason: ReasonProtocol, Message: err.Error()}
			}
		}
	}
	for _, kv := range p.Params {
		switch {
		case kv.Name == "user":
			h.user = kv.Value
		case kv.Name == "database":
			h.database = kv.Value
		case kv.Name == "replication":
			h.replicates, h.replication = !isOff(kv.Value), kv.Value
			h.namesDatabase = kv.Value == "database"
		case strings.HasPrefix(kv.Name, "_pq_."):
			h.unknown = append(h.unknown, kv.Name)
		case kv.Name == "options":
		default:
			set(kv.Name, kv.Value)
		}
	}
	if h.user == "" {
		return nil, noUser
	}
	if h.database == "" {
		h.database = h.user
	}
	h.user, h.database = clipped(h.user), clipped(h.database)
	h.applicationName = values["application_name"]
	h.class = values["guard.class"]
	delete(values, "application_name")
	delete(values, "guard.class")
	for name, value := range values {
		h.settings = append(h.settings, translate.Pair{Name: name, Value: value})
	}
	sort.Slice(h.settings, func(i, j int) bool { return h.settings[i].Name < h.settings[j].Name })
	return h, nil
}

// clipped is the name of a user or database as PostgreSQL takes it: who adds to a long one comes to the same, and by the same rule.
func clipped(name string) string { return name[:min(len(name), sql.MaxName)] }

// isOff is true for the texts that PostgreSQL reads as false; it takes the beginning of a word for the word.
func isOff(v string) bool {
	v = strings.ToLower(v)
	return v != "" && (v == "0" || strings.HasPrefix("false", v) || strings.HasPrefix("no", v) || v == "of" || v == "off")
}

// parseOptions reads the command-line options of a start-up packet: -c name=value and --name=value, words separated by
// spaces, a backslash taking the next character as it is.
func parseOptions(text string, set func(name, value string)) error {
	words := splitOptions(text)
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "-c"):
			w = w[2:]
		case strings.HasPrefix(w, "--"):
			w = w[2:]
		default:
			return errors.New("startup options: only -c name=value and --name=value are supported")
		}
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return errors.New("startup options: a setting without a value")
		}
		set(strings.ReplaceAll(name, "-", "_"), value)
	}
	return nil
}

func splitOptions(text string) []string {
	var words []string
	var word strings.Builder
	in := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
			in = true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words
}
