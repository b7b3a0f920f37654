package upstream

import (
	"fmt"

	"pgguard/proxy/wire"
)

// Protocol is which versions of PostgreSQL's protocol are spoken with a server. The zero value: 3.2, or 3.0 if it takes no other.
type Protocol struct{ Min, Max string } // min_protocol_version, max_protocol_version: 3.0, 3.2 or latest

// keys are those that say what p is.
func (p *Protocol) keys() []key {
	return []key{{"min_protocol_version", p.Min}, {"max_protocol_version", p.Max}}
}

// protocols are the values that libpq has.
var protocols = map[string]uint32{"3.0": wire.Version30, "3.2": wire.Version32, "latest": wire.Version32}

// most is the version to ask for first.
func (p *Protocol) most() uint32 {
	if v := protocols[p.Max]; v != 0 {
		return v
	}
	return wire.Version32
}

// protocol reads the keys about the protocol.
func (v values) protocol() (Protocol, error) {
	p := Protocol{v.text("min_protocol_version"), v.text("max_protocol_version")}
	if protocols[p.Min] > p.most() {
		return p, fmt.Errorf("%s is above %s", v.pair("min_protocol_version"), v.pair("max_protocol_version"))
	}
	return p, nil
}

// spoken is the version that is spoken over the connection; it is an error if that is below the least.
func (h *Handshake) spoken(version uint32) error {
	if version < h.least {
		return fmt.Errorf("server speaks version %d.%d of the protocol, and min_protocol_version asks for %d.%d",
			version>>16, version&0xffff, h.least>>16, h.least&0xffff)
	}
	return nil
}
