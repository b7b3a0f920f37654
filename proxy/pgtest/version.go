package pgtest

import "errors"

// Speak makes the connection one with a server whose newest protocol is version, in the form 3<<16|2, and whose cancel
// keys have this secret. Without it a Fake speaks 3.0, as PostgreSQL 14 to 17 do, and the secret has 4 bytes. It must
// come before every step that reads. The caller must not change secret while the fake runs.
func Speak(version uint32, secret []byte) Step {
	return Step{"Speak", func(c *fakeConn) error {
		c.speaks, c.secret = version, secret
		return nil
	}}
}

// RefuseVersions turns away a client that asks for a protocol newer than the one spoken, with a FATAL error of this
// SQLSTATE, or without a word if code is empty: so do servers that do not know NegotiateProtocolVersion.
func RefuseVersions(code string) Step {
	return Step{"RefuseVersions " + code, func(c *fakeConn) error {
		newest := c.speaks
		c.speaks = ^uint32(0) // readStartup is not to negotiate
		if err := c.readStartup(); err != nil {
			return err
		}
		switch {
		case c.asked <= newest:
			return nil
		case code == "":
			return errOver
		}
		return errors.Join(c.send(fatal(code, "unsupported frontend protocol")), errOver)
	}}
}
