package upstream

import (
	"encoding/binary"

	"pgguard/proxy/wire"
)

// ask puts h.Question to the server, which has just let us in, and keeps the first column of its first row in h.Answer. A
// server that cannot answer is as good as others: only one that ends the connection is an error.
func (h *Handshake) ask() error {
	if _, err := h.Conn.Write(wire.AppendText(nil, wire.Query, h.Question)); err != nil {
		return err
	}
	for {
		typ, body, err := h.next()
		if err != nil {
			return err
		}
		switch typ {
		case wire.ReadyForQuery:
			return nil
		case wire.ErrorResponse:
			if f, err := wire.ParseError(body); err == nil && f.Fatal() {
				return ParseError(h.masked(body))
			}
		case wire.DataRow:
			if h.Answer == "" && len(body) >= 6 {
				n := int(int32(binary.BigEndian.Uint32(body[2:])))
				if n > 0 && n <= len(body)-6 {
					h.Answer = string(body[6 : 6+n])
				}
			}
		case wire.ParameterStatus:
			if err := h.reported(body); err != nil {
				return err
			}
		}
	}
}
