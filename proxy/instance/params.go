package instance

import (
	"sort"
	"strings"

	"pgguard/proxy/wire"
)

// Params are the settings a server reports (ParameterStatus), but for application_name, which is its client's. A value never changes; equal ones of one instance are
// the same pointer, so that comparing costs nothing.
type Params struct {
	names, values []string // sorted by name
}

// With returns Params equal to p but for one setting.
func (p *Params) With(name, value string) *Params {
	if name == "application_name" {
		return p
	}
	out := &Params{}
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
func (p *Params) identity() string {
	var b strings.Builder
	for i, n := range p.names {
		b.WriteString(n)
		b.WriteByte(0)
		b.WriteString(p.values[i])
		b.WriteByte(0)
	}
	return b.String()
}

// Get returns a setting, or "".
func (p *Params) Get(name string) string {
	if i := sort.SearchStrings(p.names, name); i < len(p.names) && p.names[i] == name {
		return p.values[i]
	}
	return ""
}

// AppendAll appends a ParameterStatus for every setting, and one for the client's own application_name.
func (p *Params) AppendAll(dst []byte, applicationName string) []byte {
	dst = wire.AppendText(dst, wire.ParameterStatus, "application_name", applicationName)
	return p.AppendDiff(dst, nil)
}

// AppendDiff appends a ParameterStatus for every setting in which p differs from what the client was told.
func (p *Params) AppendDiff(dst []byte, told *Params) []byte {
	for i, n := range p.names {
		if told == nil || told.Get(n) != p.values[i] {
			dst = wire.AppendText(dst, wire.ParameterStatus, n, p.values[i])
		}
	}
	return dst
}

// maxKnown bounds the sets of settings remembered; beyond, they are forgotten and learned again.
const maxKnown = 1024

// Intern returns the known Params equal to p, so that equal ones are the same pointer.
func (in *Instance) Intern(p *Params) *Params {
	id := p.identity()
	in.mu.Lock()
	defer in.mu.Unlock()
	if k := in.known[id]; k != nil {
		return k
	}
	if in.known == nil || len(in.known) >= maxKnown {
		in.known = map[string]*Params{}
	}
	in.known[id] = p
	return p
}
