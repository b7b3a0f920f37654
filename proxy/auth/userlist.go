package auth

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"

	"pgguard/proxy/paper"
)

// What a list of users may have at most: PgBouncer's own limits for a name and a secret, and room for 100,000 lines.
const (
	maxUserName = 127
	maxUserText = 2047
	maxUserList = 16 << 20 // bytes
)

// ParseUsers reads PgBouncer's userlist.txt: lines of "name" "secret", a quote written twice, ; before a comment. Of a name that is there
// twice the last counts. The error names the line, and nothing that is in it.
func ParseUsers(text []byte) (map[string]Secret, error) {
	users := map[string]Secret{}
	line := 1
	bad := func(what string) error { return fmt.Errorf("line %d: %s", line, what) }
	for {
		text, line = skipBlank(text, line)
		if len(text) == 0 {
			return users, nil
		}
		if text[0] == ';' {
			text = text[endOfLine(text):]
			continue
		}
		name, rest, ok := quoted(text)
		if !ok {
			return nil, bad(`a line must be "name" "secret"`)
		}
		rest = bytes.TrimLeft(rest, " \t")
		secret, rest, ok := quoted(rest)
		switch {
		case !ok:
			return nil, bad(`a line must be "name" "secret"`)
		case name == "":
			return nil, bad("the name is empty")
		case len(name) > maxUserName:
			return nil, bad(fmt.Sprintf("the name is longer than %d bytes", maxUserName))
		case len(secret) > maxUserText:
			return nil, bad(fmt.Sprintf("the secret is longer than %d bytes", maxUserText))
		}
		s, err := ParseSecret(secret)
		if err != nil {
			return nil, bad(err.Error())
		}
		users[name] = s
		text = rest[endOfLine(rest):] // PgBouncer ignores what else is there
	}
}

// skipBlank returns the text behind blanks and line ends, and the line that it is in.
func skipBlank(text []byte, line int) ([]byte, int) {
	for len(text) > 0 && bytes.IndexByte([]byte(" \t\r\n\v\f"), text[0]) >= 0 {
		if text[0] == '\n' {
			line++
		}
		text = text[1:]
	}
	return text, line
}

// endOfLine is where the line ends that text begins with.
func endOfLine(text []byte) int {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end
	}
	return len(text)
}

// quoted reads a text in quotes, on one line, in which a quote is written twice.
func quoted(text []byte) (value string, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return "", nil, false
	}
	var out []byte
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\n' || text[i] == 0:
			return "", nil, false
		case text[i] != '"':
			out = append(out, text[i])
		case i+1 < len(text) && text[i+1] == '"':
			out = append(out, '"')
			i++
		default:
			return string(out), text[i+1:], true
		}
	}
	return "", nil, false
}

// File is a file with secrets, read again when it has changed. Any goroutine may use it.
type File struct {
	path  string
	parse func(text []byte) (map[string]Secret, error)

	mu    sync.Mutex
	users map[string]Secret // guarded by mu; never changed
	seen  os.FileInfo       // guarded by mu: of what was read last, well or not; nil: nothing was
}

// NewUsersFile is a list of users at path.
func NewUsersFile(path string) *File { return &File{path: path, parse: ParseUsers} }

// NewPasswordFile is a file that holds one password, whose line end does not count.
func NewPasswordFile(path string) *File {
	return &File{path: path, parse: func(text []byte) (map[string]Secret, error) {
		password := bytes.TrimRight(text, "\r\n")
		switch {
		case len(password) == 0:
			return nil, errors.New("is empty")
		case bytes.IndexByte(password, 0) >= 0:
			return nil, errors.New("is not a text")
		}
		s, err := ParseSecret(string(password))
		return map[string]Secret{"": s}, err
	}}
}

// Load reads the file if it is another than before. After an error the secrets of before stay, and it is tried again when the file has changed
// once more.
func (f *File) Load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path) // follows links, which may point to another by now
	if err != nil {
		f.seen = nil
		return err
	}
	if sameVersion(f.seen, info) {
		return nil
	}
	f.seen = info
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", f.path)
	}
	text, err := paper.Read(f.path, maxUserList)
	if err != nil {
		f.seen = nil
		return err
	}
	users, err := f.parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.users = users
	return nil
}

// Find returns a user's secret as of the last Load; of a password's file the user is "".
func (f *File) Find(user string) (Secret, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.users[user]
	return s, ok
}

// Names are the users of the file, in no order.
func (f *File) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make([]string, 0, len(f.users))
	for name := range f.users {
		names = append(names, name)
	}
	return names
}

// Sample is any secret of the file.
func (f *File) Sample() Secret {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.users {
		return s
	}
	return Secret{}
}
