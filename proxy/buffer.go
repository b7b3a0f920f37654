package proxy

import "sync"

// bufferSize is what one read takes: enough for nearly every statement and for a burst of pipelined ones, small enough
// that a thousand clients in mid-statement cost 16 MB.
const bufferSize = 16<<10 - 16

// headroom is kept free at the start of a buffer for what the guard sends ahead of a client's message, a deferred
// BEGIN above all.
const headroom = 128

// buffer holds bytes [r:w) of one direction. It is borrowed when a socket has become readable and given back when all
// it held has been passed on, so that who is idle holds none.
type buffer struct {
	r, w int
	data [bufferSize]byte
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func getBuffer() *buffer {
	b := buffers.Get().(*buffer)
	b.r, b.w = headroom, headroom
	return b
}

func putBuffer(b *buffer) {
	if b != nil {
		buffers.Put(b)
	}
}

// bytes are what the buffer holds.
func (b *buffer) bytes() []byte { return b.data[b.r:b.w] }

// compact moves what is held to the front, so that there is room for more.
func (b *buffer) compact() {
	if b.r > headroom {
		b.w = headroom + copy(b.data[headroom:], b.data[b.r:b.w])
		b.r = headroom
	}
}

// full is true if not a byte more fits, even after compact.
func (b *buffer) full() bool { return b.r <= headroom && b.w == len(b.data) }

// prepend puts p before what is held and says whether there was room.
func (b *buffer) prepend(p []byte) bool {
	if len(p) > b.r {
		return false
	}
	b.r -= len(p)
	copy(b.data[b.r:], p)
	return true
}

// split leaves [r:at) in b and returns a new buffer with the rest, or nil if there is none.
func (b *buffer) split(at int) *buffer {
	if at == b.w {
		return nil
	}
	rest := getBuffer()
	rest.w += copy(rest.data[rest.w:], b.data[at:b.w])
	b.w = at
	return rest
}
