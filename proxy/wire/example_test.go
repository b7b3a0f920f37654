package wire_test

import (
	"fmt"

	"pgguard/proxy/wire"
)

// A proxy reads five bytes of each message and passes the rest on unread.
func ExamplePeek() {
	stream := wire.AppendText(nil, wire.CommandComplete, "SELECT 1")
	stream = wire.AppendReady(stream, wire.Idle)
	for len(stream) > 0 {
		typ, size, ok, err := wire.Peek(stream)
		if !ok || err != nil {
			break // more must be read first, or the stream cannot be followed
		}
		fmt.Printf("%c %q\n", typ, stream[wire.HeaderSize:size])
		stream = stream[size:]
	}
	// Output:
	// C "SELECT 1\x00"
	// Z "I"
}
