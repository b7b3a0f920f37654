package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgguard/proxy"
	"pgguard/proxy/upstream"
)

// leaf is a value written as one text. Its set returns what is wrong with the text, as the rest of a sentence that
// starts with the key.
type leaf interface {
	set(text string) error
}

// Duration is a length of time, written with its unit: 500ms, 10s, 5m, 1h. It cannot be negative.
type Duration time.Duration

func (d *Duration) set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil {
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return fmt.Errorf("%q has no unit; write %ss or %sms", text, text, text)
		}
		return fmt.Errorf("%q is not a time such as 500ms, 10s, 5m or 1h", text)
	}
	if v < 0 {
		return fmt.Errorf("%s is negative", text)
	}
	*d = Duration(v)
	return nil
}

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns d without its zero parts: 10m, not 10m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalYAML returns String.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// Auto is a number, at least 1, or 0 for auto.
type Auto int

func (a *Auto) set(text string) error {
	if text == "auto" {
		*a = 0
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not auto or a whole number from 1", text)
	}
	if n > maxNumber {
		return fmt.Errorf("%d is more than %d", n, maxNumber)
	}
	*a = Auto(n)
	return nil
}

// MarshalYAML returns the number or auto.
func (a Auto) MarshalYAML() (any, error) {
	if a == 0 {
		return "auto", nil
	}
	return int(a), nil
}

// Own is a number from 0 that an exception has, or auto, the zero value: what holds for all.
type Own int // the number and one

func (o *Own) set(text string) error {
	if text == "auto" {
		*o = 0
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not auto or a whole number from 0", text)
	}
	if n > maxNumber {
		return fmt.Errorf("%d is more than %d", n, maxNumber)
	}
	*o = Own(n + 1)
	return nil
}

// MarshalYAML returns the number or auto.
func (o Own) MarshalYAML() (any, error) {
	if o == 0 {
		return "auto", nil
	}
	return int(o) - 1, nil
}

// toProxy is the number, nil for auto.
func (o Own) toProxy() *int {
	if o == 0 {
		return nil
	}
	return new(int(o) - 1)
}

// Mode says whether refusals happen (enforce) or are only reported (observe).
type Mode string

func (m *Mode) set(text string) error { return setEnum((*string)(m), text, "enforce", "observe") }

// PoolMode says for how long a client keeps its server: transaction, session or statement.
type PoolMode string

func (m *PoolMode) set(text string) error {
	return setEnum((*string)(m), text, "transaction", "session", "statement")
}

// LogFormat is text or json.
type LogFormat string

func (f *LogFormat) set(text string) error { return setEnum((*string)(f), text, "text", "json") }

// setEnum sets to to text if text is one of words.
func setEnum(to *string, text string, words ...string) error {
	if !slices.Contains(words, text) {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(words, ", "))
	}
	*to = text
	return nil
}

// LogLevel is the least important event that is logged: debug, info, warn or error.
type LogLevel slog.Level

func (l *LogLevel) set(text string) error {
	var word string
	if err := setEnum(&word, text, "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return (*slog.Level)(l).UnmarshalText([]byte(word))
}

// MarshalYAML returns the level in small letters.
func (l LogLevel) MarshalYAML() (any, error) { return strings.ToLower(slog.Level(l).String()), nil }

// Pattern is a regular expression in Go's syntax; the zero value matches nothing and is written as an empty text.
type Pattern struct{ *regexp.Regexp }

func (p *Pattern) set(text string) error {
	if text == "" {
		*p = Pattern{}
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("is not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	*p = Pattern{re}
	return nil
}

// MarshalYAML returns the text of the expression.
func (p Pattern) MarshalYAML() (any, error) {
	if p.Regexp == nil {
		return "", nil
	}
	return p.String(), nil
}

// TLSMode says whether clients may, or must, come over TLS.
type TLSMode string

func (m *TLSMode) set(text string) error {
	if !slices.Contains(proxy.TLSModes, text) && (text != "" || *m != "") {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(proxy.TLSModes, ", "))
	}
	*m = TLSMode(text)
	return nil
}

// SocketMode is who may connect to a unix socket: a number as chmod has it, such as 0770; empty: what umask leaves.
type SocketMode string

func (m *SocketMode) set(text string) error {
	if n, err := strconv.ParseUint(text, 8, 32); text != "" && (err != nil || n == 0 || n > 0o777) {
		return fmt.Errorf("%q is not a mode such as 0770", text)
	}
	*m = SocketMode(text)
	return nil
}

// Perm is the mode as a number; 0: none is given.
func (m SocketMode) Perm() fs.FileMode {
	n, err := strconv.ParseUint(string(m), 8, 32)
	if err != nil {
		return 0
	}
	return fs.FileMode(n)
}

// Upstream is a libpq URL or DSN; the zero value is a missing one. It is printed with its password masked.
type Upstream struct{ upstream.Given }

func (u *Upstream) set(text string) error {
	if text == "" {
		*u = Upstream{}
		return nil
	}
	given, err := upstream.Read(text)
	if err != nil {
		return err
	}
	*u = Upstream{given}
	return nil
}

// MarshalYAML returns the URL with *** in the place of the password.
func (u Upstream) MarshalYAML() (any, error) { return u.String(), nil }

// missing reports whether nothing was given.
func (u Upstream) missing() bool { return u.Host == "" }

// set makes a listener of an address alone.
func (l *Listen) set(text string) error {
	if text == "" {
		return errors.New("is empty; give host:port or unix:DIR")
	}
	*l = Listen{Addr: text}
	return nil
}
