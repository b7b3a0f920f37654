package config

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"pgguard/pool/sorting"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	// File, Line and Column say where it is, from 1. Line is 0 where there is no file, or where Source is set.
	File         string
	Line, Column int
	// Source is what set the value instead of the file, such as "--mode or PGGUARD_MODE"; empty for the file.
	Source string
	// Path is the key, such as pool.max_servers or classes[1].match[0].user; empty for the file as a whole.
	Path string
	// Message is the rest of the sentence. It holds no secret.
	Message string

	because string // the key whose fault has this one as its consequence; empty for none
}

// Error returns the fault on one line.
func (f Fault) Error() string {
	var parts []string
	switch {
	case f.Source != "":
		parts = append(parts, f.Source)
	case f.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column))
	case f.File != "":
		parts = append(parts, f.File)
	}
	if f.Path != "" {
		parts = append(parts, f.Path)
	}
	return masked(strings.Join(append(parts, f.Message), ": "))
}

// Faults are all the faults of one configuration, in the order of its lines.
type Faults []Fault

// Error returns one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the faults of the command line first, then those of the file from top to bottom.
func (fs Faults) sorted() Faults {
	sorting.By(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return fs
}

// A connection string may stand under a wrong key, whose fault repeats the value, in quotes or within a sentence.
var (
	quoted  = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"`)
	secrets = regexp.MustCompile(`(?i)(://[^:/@\s"]*:)[^@\s"]*@|(password\s*=\s*)('[^']*'?|[^\s"']+)`)
	// A password may have any character in it, so where the value ends is all that is known of its end.
	givenPassword = regexp.MustCompile(`(?is)(password\s*=\s*).+`)
	userInfo      = regexp.MustCompile(`(?s)^([^:/@?\[]*:).*@`)
	// What stands there alone may be a host and its port: of those nothing is hidden.
	userAlone = regexp.MustCompile(`(?s)^([^:/@?\[]*:)(?:[^/?#]*[^/?#\d]|\d{6,}).*`)
)

// masked returns s with *** for what looks like the password in a connection string.
func masked(s string) string {
	s = quoted.ReplaceAllStringFunc(s, func(q string) string {
		value, err := strconv.Unquote(q)
		if err != nil {
			return q
		}
		if m := maskedValue(value); m != value {
			return strconv.Quote(m)
		}
		return q
	})
	return secrets.ReplaceAllStringFunc(s, func(m string) string {
		if m == "://user:password@" {
			return m // our own advice
		}
		if strings.HasPrefix(m, "://") {
			return m[:strings.Index(m[3:], ":")+4] + "***@"
		}
		return m[:strings.Index(m, "=")+1] + "***"
	})
}

// maskedValue is masked for a text that is nothing but a value.
func maskedValue(value string) string {
	if scheme, rest, ok := strings.Cut(value, "://"); ok {
		if userInfo.MatchString(rest) {
			rest = userInfo.ReplaceAllString(rest, "${1}***@")
		} else {
			rest = userAlone.ReplaceAllString(rest, "${1}***")
		}
		value = scheme + "://" + rest
	}
	return givenPassword.ReplaceAllString(value, "${1}***")
}
