package pgtest

import (
	"strings"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// Ask writes b as it is; the client's next answer to a password request is one to this method.
func Ask(method uint32, b []byte) Step {
	return Step{"Ask", func(c *fakeConn) error {
		if err := c.readStartup(); err != nil {
			return err
		}
		if err := c.be.SetAuthType(method); err != nil {
			return err
		}
		return c.write(b)
	}}
}

// SkipProof has the client prove that it knows the password, as AcceptSCRAM does, and does not prove it itself.
func SkipProof(password string) Step {
	return Step{"SkipProof", func(c *fakeConn) error {
		_, err := c.scram(password)
		return err
	}}
}

// Challenge answers the client's first message of SCRAM-SHA-256 with its nonce made longer, and rest.
func Challenge(rest string) Step {
	return Step{"Challenge", func(c *fakeConn) error {
		first, err := c.offerSCRAM()
		if err != nil {
			return err
		}
		_, nonce, _ := strings.Cut(first, "r=")
		return c.send(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=" + nonce + "more," + rest)})
	}}
}

// Trickle writes b over and over, one byte after each pause, until the client leaves.
func Trickle(b []byte, pause time.Duration) Step {
	return Step{"Trickle", func(c *fakeConn) error {
		t := time.NewTicker(pause)
		defer t.Stop()
		for i := 0; ; i = (i + 1) % len(b) {
			select {
			case <-t.C:
			case <-c.f.ctx.Done():
				return errOver
			}
			if err := c.write(b[i : i+1]); err != nil {
				return err
			}
		}
	}}
}

// Flood writes b over and over, as fast as it is taken, until the client leaves.
func Flood(b []byte) Step {
	return Step{"Flood", func(c *fakeConn) error {
		for {
			if err := c.write(b); err != nil {
				return err
			}
		}
	}}
}
