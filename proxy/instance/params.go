package instance

import (
	"slices"
	"sort"
	"strings"

	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// Params are the settings a server reports (ParameterStatus), but for application_name, which is its client's. A value never changes; equal ones of one instance are
// the same pointer, so that comparing costs nothing.
type Params struct {
	names, values []string // sorted by name
}

// What a server may report: several times what any does. Beyond, it is no PostgreSQL, and would have its guard keep whatever it
// makes up.
const (
	maxSettings      = 256
	maxSettingsBytes = 8 << 20 // a search_path that is reported may be long
)

// NewParams are what a server has reported at its login.
func NewParams(reported []upstream.Setting) *Params {
	reported = slices.SortedFunc(slices.Values(reported), func(a, b upstream.Setting) int { return strings.Compare(a.Name, b.Name) })
	p := &Params{}
	for _, r := range reported {
		if r.Name == "application_name" {
			continue
		}
		p.names, p.values = append(p.names, r.Name), append(p.values, r.Value)
	}
	return p
}

// With returns Params equal to p but for one setting; false if they are more than a server may report.
func (p *Params) With(name, value string) (*Params, bool) {
	out := &Params{names: slices.Clone(p.names), values: slices.Clone(p.values)}
	i := sort.SearchStrings(out.names, name)
	if i < len(out.names) && out.names[i] == name {
		out.values[i] = value
	} else {
		out.names, out.values = slices.Insert(out.names, i, name), slices.Insert(out.values, i, value)
	}
	return out, len(out.names) <= maxSettings && out.size() <= maxSettingsBytes
}

// size is how many bytes the texts have.
func (p *Params) size() (n int) {
	for i := range p.names {
		n += len(p.names[i]) + len(p.values[i])
	}
	return n
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

// Reported are the settings, for NewParams.
func (p *Params) Reported() (list []upstream.Setting) {
	for i, name := range p.names {
		list = append(list, upstream.Setting{Name: name, Value: p.values[i]})
	}
	return list
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

// What bounds the sets of settings remembered; beyond, they are forgotten and learned again.
const (
	maxKnown      = 1024
	maxKnownBytes = 2 * maxSettingsBytes
)

// Intern returns the known Params equal to p, so that equal ones are the same pointer.
func (in *Instance) Intern(p *Params) *Params {
	id := p.identity()
	in.mu.Lock()
	defer in.mu.Unlock()
	if k := in.known[id]; k != nil {
		return k
	}
	if in.known == nil || len(in.known) >= maxKnown || in.knownBytes+len(id) > maxKnownBytes {
		in.known, in.knownBytes = map[string]*Params{}, 0
	}
	in.known[id] = p
	in.knownBytes += len(id)
	return p
}
