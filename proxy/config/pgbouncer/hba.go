package pgbouncer

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"pgguard/proxy/config"
)

// token is a word of a line in an HBA or ident file.
type token struct {
	text   string
	quoted bool
	comma  bool
	at     place
}

// tokensOf are the words of a text of lines, each line's together; what stands behind # is a comment.
func tokensOf(name string, text []byte) ([][]token, *config.Fault) {
	c := &cursor{text: string(text), file: name}
	var lines [][]token
	var line []token
	for !c.end() {
		at := c.place()
		switch b := c.rest()[0]; {
		case b == '\n':
			c.take(1)
			lines, line = append(lines, line), nil
		case isSpace(b):
			c.take(1)
		case b == '#':
			c.line()
		case b == ',':
			c.take(1)
			line = append(line, token{comma: true, at: at})
		case b == '"':
			text, ok := quotedToken(c)
			if !ok {
				f := at.fault("", "a name in quotes has no second quote on its line")
				return nil, &f
			}
			line = append(line, token{text: text, quoted: true, at: at})
		default:
			end := strings.IndexFunc(c.rest(), func(r rune) bool { return isSpaceRune(r) || r == ',' || r == '#' || r == '"' })
			if end < 0 {
				end = len(c.rest())
			}
			line = append(line, token{text: c.take(end), at: at})
		}
	}
	return append(lines, line), nil
}

// quotedToken reads a name in quotes, in which a quote is written twice.
func quotedToken(c *cursor) (text string, ok bool) {
	c.take(1)
	for !c.end() && c.rest()[0] != '\n' {
		if c.take(1) != `"` {
			text += c.text[c.pos-1 : c.pos]
			continue
		}
		if c.end() || c.rest()[0] != '"' {
			return text, true
		}
		text += c.take(1)
	}
	return "", false
}

// identity maps names of the system, or of certificates, to users: by the name of the map.
type identity map[string][]mapping

type mapping struct{ system, user string }

// hbaReader makes rules of an HBA file.
type hbaReader struct {
	c     *converter
	maps  identity
	name  string
	words []token // of the line that are not read yet
	at    place   // of the line
}

// rules writes the rules of the auth_hba_file.
func (c *converter) rules(a *node) {
	e, ok := c.given("auth_hba_file")
	if !ok {
		c.bad(c.at("auth_type"), "auth_hba_file", "is missing, which auth_type = hba needs")
		return
	}
	list := a.child("rules")
	c.from(list, e.valueAt)
	c.set(a.child("method"), "reject", c.at("auth_type"))
	r := &hbaReader{c: c, maps: c.idents(), name: e.value}
	lines, ok := c.tokens(e, e.value)
	if !ok {
		return
	}
	for _, r.words = range lines {
		if len(r.words) == 0 {
			continue
		}
		r.at = r.words[0].at
		text, err := r.rule()
		if errors.Is(err, errNobody) {
			c.remark(list, r.at, e.key, "%v", err)
			continue
		}
		if err != nil {
			c.bad(r.at, e.key, "%v", err)
			continue
		}
		c.from(list.item(text), r.at)
	}
	if !slices.ContainsFunc(list.kids, func(k *node) bool { return !strings.Contains(k.text, "method: reject") }) && len(c.faults) == 0 {
		c.bad(e.valueAt, e.key, "has no line that lets anybody in")
	}
}

// tokens reads a file that the line of e names.
func (c *converter) tokens(e entry, name string) ([][]token, bool) {
	text, err := c.open(name)
	if err != nil {
		c.bad(e.valueAt, e.key, "%v", err)
		return nil, false
	}
	lines, fault := tokensOf(name, text)
	if fault != nil {
		c.faults = append(c.faults, *fault)
	}
	return lines, fault == nil
}

// idents reads the auth_ident_file.
func (c *converter) idents() identity {
	e, ok := c.given("auth_ident_file")
	if !ok {
		return nil
	}
	lines, _ := c.tokens(e, e.value)
	maps := identity{}
	for _, line := range lines {
		if len(line) == 0 {
			continue
		}
		if len(line) != 3 || slices.ContainsFunc(line, func(t token) bool { return t.comma }) {
			c.bad(line[0].at, e.key, "a line is made of a map, a name of the system and a user")
			continue
		}
		for _, t := range line[1:] {
			if !t.quoted && strings.HasPrefix(t.text, "/") || strings.HasPrefix(t.text, "+") {
				c.bad(t.at, e.key, "regular expressions and groups are not available")
			}
		}
		maps[line[0].text] = append(maps[line[0].text], mapping{line[1].text, line[2].text})
	}
	return maps
}

// next returns the next word of the line.
func (r *hbaReader) next(what string) (token, error) {
	if len(r.words) == 0 || r.words[0].comma {
		return token{}, fmt.Errorf("has no %s; PgBouncer leaves such a line out", what)
	}
	t := r.words[0]
	r.words = r.words[1:]
	return t, nil
}

// rule reads a line.
func (r *hbaReader) rule() (string, error) {
	kind, err := r.next("kind")
	if err != nil {
		return "", err
	}
	if !slices.Contains([]string{"local", "host", "hostssl", "hostnossl"}, kind.text) {
		return "", fmt.Errorf("begins with %q, not with local, host, hostssl or hostnossl; PgBouncer leaves such a line out", kind.text)
	}
	databases, err := r.names("database", []string{"sameuser", "replication"})
	if err != nil {
		return "", err
	}
	users, err := r.names("user", nil)
	if err != nil {
		return "", err
	}
	address := "unix"
	if kind.text != "local" {
		if address, err = r.address(); err != nil {
			return "", err
		}
	}
	method, more, err := r.method()
	if err != nil {
		return "", err
	}
	if slices.Contains([]string{"trust", "peer", "cert"}, method) {
		more += ", known: true"
	}
	parts := []string{"address: " + address, "database: " + flow(databases), "user: " + flow(users)}
	switch kind.text {
	case "hostssl":
		parts = append(parts, "tls: true")
	case "hostnossl":
		parts = append(parts, "tls: false")
	}
	return "{" + strings.Join(append(parts, "method: "+method), ", ") + more + "}", nil
}

// names reads a list of names; keywords are those that mean something else, beside all.
func (r *hbaReader) names(what string, keywords []string) (list []string, err error) {
	for {
		t, err := r.next(what)
		if err != nil {
			return nil, err
		}
		keyword := t.text == "all" || slices.Contains([]string{"sameuser", "samerole", "samegroup", "replication"}, t.text)
		switch {
		case t.quoted && keyword:
			return nil, fmt.Errorf("%q in quotes is a %s of this name, which a rule cannot be about here", t.text, what)
		case !t.quoted && (t.text == "samerole" || t.text == "samegroup" || strings.HasPrefix(t.text, "+")):
			return nil, fmt.Errorf("%s is not available, nor has PgBouncer it: it leaves such a line out", t.text)
		case keyword && t.text != "all" && !slices.Contains(keywords, t.text):
			return nil, fmt.Errorf("%s is no %s", t.text, what)
		case !t.quoted && strings.HasPrefix(t.text, "@"):
			more, err := r.namesIn(t.text[1:])
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		default:
			list = append(list, t.text)
		}
		if len(r.words) == 0 || !r.words[0].comma {
			return list, nil
		}
		r.words = r.words[1:]
	}
}

// namesIn reads a file of names, which may be beside the HBA file.
func (r *hbaReader) namesIn(name string) (list []string, err error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(r.name), name)
	}
	text, err := r.c.open(name)
	if err != nil {
		return nil, err
	}
	lines, fault := tokensOf(name, text)
	if fault != nil {
		return nil, fault
	}
	for _, line := range lines {
		for _, t := range line {
			switch {
			case t.comma:
			case !t.quoted && strings.ContainsAny(t.text[:1], "@+"):
				return nil, fmt.Errorf("%s: %s is not available", name, t.text)
			default:
				list = append(list, t.text)
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s names nobody", name)
	}
	return list, nil
}

// address reads a network; PgBouncer's all is about TCP alone.
func (r *hbaReader) address() (string, error) {
	t, err := r.next("address")
	if err != nil {
		return "", err
	}
	if t.text == "all" && !t.quoted {
		return flow([]string{"0.0.0.0/0", "::/0"}), nil
	}
	p, err := netip.ParsePrefix(t.text)
	if !strings.Contains(t.text, "/") {
		if p, err = r.masked(t.text); err != nil {
			return "", err
		}
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("%s is not an address with its mask; names of hosts, samehost and samenet are not available, nor has PgBouncer them", t.text)
	case p.Masked() != p:
		return "", fmt.Errorf("the address %s has bits outside of its mask: %w", p, errNobody)
	}
	return quote(p.String()), nil
}

// errNobody is why nothing comes of a line.
var errNobody = errors.New("the line is about nobody, as in PgBouncer; PostgreSQL would take the bits away")

// masked reads the mask that follows an address.
func (r *hbaReader) masked(address string) (netip.Prefix, error) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, err
	}
	t, err := r.next("mask")
	if err != nil {
		return netip.Prefix{}, err
	}
	mask, err := netip.ParseAddr(t.text)
	if err != nil || mask.BitLen() != a.BitLen() {
		return netip.Prefix{}, fmt.Errorf("%q is not the mask of %s; write %s/%d for one address", t.text, a, a, a.BitLen())
	}
	bits := 0
	for _, b := range mask.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
	}
	p := netip.PrefixFrom(a, bits)
	if ones := netip.PrefixFrom(mask, bits).Masked(); ones.Addr() != mask {
		return netip.Prefix{}, errors.New("the mask has a gap")
	}
	return p, nil
}

// method reads how clients prove who they are, and the map behind it, as it is written.
func (r *hbaReader) method() (method, more string, err error) {
	t, err := r.next("method")
	if err != nil {
		return "", "", err
	}
	if !slices.Contains([]string{"trust", "reject", "md5", "password", "peer", "cert", "scram-sha-256"}, t.text) {
		return "", "", fmt.Errorf("the method %s is not available", t.text)
	}
	if len(r.words) == 0 {
		return t.text, "", nil
	}
	name, isMap := strings.CutPrefix(r.words[0].text, "map=")
	if !isMap || len(r.words) > 1 {
		return "", "", fmt.Errorf("has %q behind the method; PgBouncer leaves such a line out", r.words[0].text)
	}
	m, ok := r.maps[name]
	switch {
	case !ok:
		return "", "", fmt.Errorf("the map %s is not in the auth_ident_file; PgBouncer leaves such a line out", name)
	case t.text != "peer" && t.text != "cert":
		return t.text, "", nil // nor does PgBouncer look at it
	}
	return t.text, ", map: " + flowMap(m), nil
}

// flowMap writes a map of names, in the order in which they come first.
func flowMap(list []mapping) string {
	users := map[string][]string{}
	var order []string
	for _, m := range list {
		if users[m.system] == nil {
			order = append(order, m.system)
		}
		users[m.system] = append(users[m.system], m.user)
	}
	var parts []string
	for _, name := range order {
		parts = append(parts, quote(name)+": "+flow(users[name]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
