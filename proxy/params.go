package proxy

import (
	"sort"
	"strings"

	"pgguard/proxy/wire"
)

// params are the settings a server reports (ParameterStatus). A value never changes; equal ones of one instance are
// the same pointer, so that comparing costs nothing.
type params struct {
	names, values []string // sorted by name
}

// with returns params equal to p but for one setting.
func (p *params) with(name, value string) *params {
	out := &params{}
	if p != nil {
		out.names = append(out.names, p.names...)
		out.values = append(out.values, p.values...)
	}
	i := sort.SearchStrings(out.names, name)
	if i < len(out.names) && out.names[i] == name {
		out.values[i] = value
		return out
	}
	out.names = append(out.names[:i], append([]string{name}, out.names[i:]...)...)
	out.values = append(out.values[:i], append([]string{value}, out.values[i:]...)...)
	return out
}

// identity is equal for equal params.
func (p *params) identity() string {
	var b strings.Builder
	for i, n := range p.names {
		b.WriteString(n)
		b.WriteByte(0)
		b.WriteString(p.values[i])
		b.WriteByte(0)
	}
	return b.String()
}

// get returns a setting, or "".
func (p *params) get(name string) string {
	if i := sort.SearchStrings(p.names, name); i < len(p.names) && p.names[i] == name {
		return p.values[i]
	}
	return ""
}

// appendAll appends a ParameterStatus for every setting, with the client's own application_name.
func (p *params) appendAll(dst []byte, applicationName string) []byte {
	for i, n := range p.names {
		v := p.values[i]
		if n == "application_name" {
			v = applicationName
		}
		dst = wire.AppendText(dst, wire.ParameterStatus, n, v)
	}
	return dst
}

// appendDiff appends a ParameterStatus for every setting in which p differs from what the client was told.
func (p *params) appendDiff(dst []byte, told *params) []byte {
	for i, n := range p.names {
		if n != "application_name" && (told == nil || told.get(n) != p.values[i]) {
			dst = wire.AppendText(dst, wire.ParameterStatus, n, p.values[i])
		}
	}
	return dst
}

// newsLocked returns what the client must be told ahead of anything its server says: in what that server differs from
// what the client was told before. Nearly always that is nothing.
func (s *session) newsLocked(b *backend) []byte {
	p := b.params.Load()
	if p == s.params {
		return nil
	}
	news := p.appendDiff(nil, s.params)
	s.params = p
	return news
}
