package wire

import "encoding/binary"

// AppendReady appends ReadyForQuery with a transaction state.
func AppendReady(dst []byte, status byte) []byte {
	return append(dst, ReadyForQuery, 0, 0, 0, 5, status)
}

// AppendEmpty appends a message of type typ with no body.
func AppendEmpty(dst []byte, typ byte) []byte { return append(dst, typ, 0, 0, 0, 4) }

// AppendMessage appends a message of type typ with this body.
func AppendMessage(dst []byte, typ byte, body []byte) []byte {
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(body)))
	return append(dst, body...)
}

// AppendText appends a message of type typ whose body is texts, each ended by a NUL: Query, CommandComplete,
// ParameterStatus and the like.
func AppendText(dst []byte, typ byte, texts ...string) []byte {
	n := 4
	for _, t := range texts {
		n += len(t) + 1
	}
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	for _, t := range texts {
		dst = append(dst, t...)
		dst = append(dst, 0)
	}
	return dst
}

// AppendParse appends a Parse of a statement with this name. body is what follows the name: text, NUL, parameter types.
func AppendParse(dst []byte, name, body string) []byte {
	dst = append(dst, Parse)
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(name)+1+len(body)))
	dst = append(dst, name...)
	dst = append(dst, 0)
	return append(dst, body...)
}

// AppendKey appends BackendKeyData.
func AppendKey(dst []byte, pid uint32, secret []byte) []byte {
	dst = append(dst, BackendKeyData)
	dst = binary.BigEndian.AppendUint32(dst, uint32(8+len(secret)))
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return append(dst, secret...)
}

// AppendCancel appends a cancel request, which is a whole first packet.
func AppendCancel(dst []byte, pid uint32, secret []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(12+len(secret)))
	dst = binary.BigEndian.AppendUint32(dst, codeCancel)
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return append(dst, secret...)
}

// AppendSSLRequest appends the question for TLS, which is a whole first packet.
func AppendSSLRequest(dst []byte) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 8), codeSSL)
}

// AppendNegotiate appends NegotiateProtocolVersion: the newest version we speak and the options we do not know.
func AppendNegotiate(dst []byte, version uint32, unknown []string) []byte {
	n := 12
	for _, u := range unknown {
		n += len(u) + 1
	}
	dst = append(dst, NegotiateVersion)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = binary.BigEndian.AppendUint32(dst, version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(unknown)))
	for _, u := range unknown {
		dst = append(dst, u...)
		dst = append(dst, 0)
	}
	return dst
}
