package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// packet frames a first packet: its code and its body.
func packet(code uint32, body string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return string(binary.BigEndian.AppendUint32(b, code)) + body
}

func TestReadStartup(t *testing.T) {
	long := strings.Repeat("k", 256)
	tests := map[string]struct {
		in   string
		want Startup
	}{
		"3.0": {
			packet(Version30, "user\x00u\x00database\x00d\x00\x00"),
			Startup{Version: Version30, Params: []Param{{"user", "u"}, {"database", "d"}}},
		},
		"3.2 with an option":    {packet(Version32, "_pq_.x\x00\x00\x00"), Startup{Version: Version32, Params: []Param{{"_pq_.x", ""}}}},
		"nothing":               {packet(Version30, "\x00"), Startup{Version: Version30}},
		"version 2":             {packet(2<<16, "anything"), Startup{Version: 2 << 16}},
		"SSLRequest":            {packet(codeSSL, ""), Startup{Kind: KindSSL}},
		"GSSENCRequest":         {packet(codeGSS, ""), Startup{Kind: KindGSS}},
		"cancel":                {packet(codeCancel, "\x00\x00\x00\x07abcd"), Startup{Kind: KindCancel, PID: 7, Secret: []byte("abcd")}},
		"cancel with a 3.2 key": {packet(codeCancel, "\x00\x00\x00\x07"+long), Startup{Kind: KindCancel, PID: 7, Secret: []byte(long)}},
		"what AppendCancel makes": {
			string(AppendCancel(nil, 9, []byte("12345678"))),
			Startup{Kind: KindCancel, PID: 9, Secret: []byte("12345678")},
		},
	}
	for name, tt := range tests {
		r := strings.NewReader(tt.in + "more")
		got, err := ReadStartup(iotest.OneByteReader(r))
		if err != nil || !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tt.want)
		}
		if r.Len() != len("more") {
			t.Errorf("%s: %d bytes after the packet are left, want 4: what comes in clear must not be read ahead", name, r.Len())
		}
	}
}

func TestReadStartupRefuses(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"too short":           {"\x00\x00\x00\x07\x00\x03\x00\x00", "invalid length of startup packet: 7"},
		"too long":            {"\x00\x00\x27\x11\x00\x03\x00\x00", "invalid length of startup packet: 10001"},
		"absurd":              {"\x7f\xff\xff\xff\x00\x03\x00\x00", "invalid length of startup packet"},
		"HTTP":                {"GET / HTTP/1.1\r\n", "an HTTP request"},
		"no end":              {packet(Version30, "user\x00u\x00"), "terminator"},
		"no value":            {packet(Version30, "user\x00"), `"user" has no value`},
		"after the end":       {packet(Version30, "\x00x"), "after the terminator"},
		"SSL with a body":     {packet(codeSSL, "x"), "with a body"},
		"cancel without key":  {packet(codeCancel, "\x00\x00\x00\x07"), "cancel"},
		"cancel, key too big": {packet(codeCancel, "\x00\x00\x00\x07"+strings.Repeat("k", 257)), "cancel"},
	}
	for name, tt := range tests {
		if _, err := ReadStartup(strings.NewReader(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestReadStartupErrorsHoldNoValue(t *testing.T) {
	_, err := ReadStartup(strings.NewReader(packet(Version30, "password\x00hunter2\x00user\x00")))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	_, err = ReadStartup(strings.NewReader(packet(Version30, strings.Repeat("n", 500)+"\xff\x00")))
	if err == nil || len(err.Error()) > 120 {
		t.Errorf("a stranger's name is not shortened: %v", err)
	}
}

func TestReadStartupPassesOnBrokenReads(t *testing.T) {
	full := packet(Version30, "user\x00u\x00\x00")
	for n := range len(full) {
		if _, err := ReadStartup(strings.NewReader(full[:n])); err == nil {
			t.Fatalf("%d of %d bytes were taken for a packet", n, len(full))
		}
	}
	broken := errors.New("reset")
	r := io.MultiReader(bytes.NewReader([]byte(full[:10])), iotest.ErrReader(broken))
	if _, err := ReadStartup(r); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
}
