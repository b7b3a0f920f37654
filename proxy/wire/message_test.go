package wire

import (
	"errors"
	"testing"
)

func TestPeekRefusesAbsurdLengths(t *testing.T) {
	tests := []struct {
		in   string
		size int
		ok   bool
		err  error
	}{
		{"", 0, false, nil},
		{"Q\x00\x00\x00", 0, false, nil},
		{"Q\x00\x00\x00\x04", 5, true, nil},
		{"d\x00\x01\x00\x00", 65537, true, nil},
		{"d\x3f\xff\xff\xff", 1 << 30, true, nil},
		{"Q\x00\x00\x00\x03", 0, false, ErrLength},
		{"Q\x40\x00\x00\x00", 0, false, ErrLength},
		{"Q\xff\xff\xff\xff", 0, false, ErrLength},
	}
	for _, tt := range tests {
		typ, size, ok, err := Peek([]byte(tt.in))
		if size != tt.size || ok != tt.ok || !errors.Is(err, tt.err) || (ok && typ != tt.in[0]) {
			t.Errorf("%q: %c %d %v %v, want %d %v %v", tt.in, typ, size, ok, err, tt.size, tt.ok, tt.err)
		}
	}
}

func TestCStringEndsAtTheFirstNUL(t *testing.T) {
	text, rest, ok := CString([]byte("ab\x00c\x00"))
	if string(text) != "ab" || string(rest) != "c\x00" || !ok {
		t.Errorf("got %q, %q, %v", text, rest, ok)
	}
	if _, _, ok := CString([]byte("ab")); ok {
		t.Error("a text without an end was taken")
	}
}

func TestFramingAllocatesNothing(t *testing.T) {
	stream := AppendText(nil, Query, "select 1")
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		_, size, _, _ := Peek(stream)
		_, _, _ = CString(stream[HeaderSize:size])
		_ = AppendReady(AppendText(AppendEmpty(dst, ParseComplete), CommandComplete, "SELECT 1"), Idle)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
