package console

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"pgguard/proxy"
)

// stranger is a connection on which somebody has said something and left.
type stranger struct{ *bytes.Reader }

func (stranger) Write(p []byte) (int, error)      { return len(p), nil }
func (stranger) Close() error                     { return nil }
func (stranger) LocalAddr() net.Addr              { return tcp("127.0.0.1", 1) }
func (stranger) RemoteAddr() net.Addr             { return tcp("127.0.0.1", 2) }
func (stranger) SetDeadline(time.Time) error      { return nil }
func (stranger) SetReadDeadline(time.Time) error  { return nil }
func (stranger) SetWriteDeadline(time.Time) error { return nil }

// FuzzConsole has an operator say anything: he is answered or closed, and nothing panics.
func FuzzConsole(f *testing.F) {
	for _, s := range []string{
		"Q\x00\x00\x00\x11show version\x00", "P\x00\x00\x00\x13\x00show pools;\x00\x00\x00S\x00\x00\x00\x04", "B\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00E\x00\x00\x00\x09\x00\x00\x00\x00\x00X\x00\x00\x00\x04",
		"Q\x00\x00\x00\x12set a = 'b''c'\x00",
	} {
		f.Add([]byte(s))
	}
	c, g := New(Config{Settings: func() []Setting { return nil }}), world()
	f.Fuzz(func(t *testing.T, said []byte) {
		r := bytes.NewReader(said)
		c.serve(g, &proxy.Operator{Conn: stranger{r}, Changes: false})
		_, _ = io.Copy(io.Discard, r)
	})
}
