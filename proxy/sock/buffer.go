package sock

import "sync"

// BufferSize is what one read takes: enough for nearly every statement and for a burst of pipelined ones, small enough
// that a thousand clients in mid-statement cost 16 MB.
const BufferSize = 16<<10 - 16

// Headroom is kept free at the start of a buffer for what the guard sends ahead of a client's message, a deferred
// BEGIN above all.
const Headroom = 128

// Buffer holds bytes Data[R:W] of one direction. It is borrowed when a socket has become readable and given back when
// all it held has been passed on, so that who is idle holds none. Its size is BufferSize unless it was made to Grow.
type Buffer struct {
	R, W int
	Data []byte
}

var buffers = sync.Pool{New: func() any { return &Buffer{Data: make([]byte, BufferSize)} }}

// Borrow returns an empty buffer; Return takes it back.
func Borrow() *Buffer {
	b := buffers.Get().(*Buffer)
	b.R, b.W = Headroom, Headroom
	return b
}

// Return gives b back, if it is not nil. What it held must not be used any more.
func Return(b *Buffer) {
	if b == nil {
		return
	}
	spoil(b.Data)
	if len(b.Data) == BufferSize {
		buffers.Put(b)
	}
}

// Grow makes room for n bytes in all, from R on. What is held stays.
func (b *Buffer) Grow(n int) {
	if Headroom+n <= len(b.Data) {
		b.Compact()
		return
	}
	data := make([]byte, Headroom+n)
	b.W = Headroom + copy(data[Headroom:], b.Data[b.R:b.W])
	b.R, b.Data = Headroom, data
}

// Bytes are what the buffer holds.
func (b *Buffer) Bytes() []byte { return b.Data[b.R:b.W] }

// Compact moves what is held to the front, so that there is room for more. With nothing held, what Grow has added goes.
func (b *Buffer) Compact() {
	if b.R == b.W && len(b.Data) != BufferSize {
		b.Data = make([]byte, BufferSize)
		b.R, b.W = Headroom, Headroom
		return
	}
	if b.R > Headroom {
		b.W = Headroom + copy(b.Data[Headroom:], b.Data[b.R:b.W])
		b.R = Headroom
	}
}

// Full is true if not a byte more fits, even after Compact.
func (b *Buffer) Full() bool { return b.R <= Headroom && b.W == len(b.Data) }

// Prepend puts p before what is held and says whether there was room.
func (b *Buffer) Prepend(p []byte) bool {
	if len(p) > b.R {
		return false
	}
	b.R -= len(p)
	copy(b.Data[b.R:], p)
	return true
}

// Split leaves Data[R:at] in b and returns a new buffer with the rest, or nil if there is none.
func (b *Buffer) Split(at int) *Buffer {
	if at == b.W {
		return nil
	}
	rest := Borrow()
	rest.Grow(b.W - at)
	rest.W += copy(rest.Data[rest.W:], b.Data[at:b.W])
	b.W = at
	return rest
}
