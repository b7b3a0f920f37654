package auth

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgpassfile"
	"github.com/xdg-go/scram"
)

// ErrNoPassword is why a login cannot go on: it is a fault of the configuration, which trying again does not mend.
var ErrNoPassword = errors.New("server asks for a password, none is configured")

// MD5 returns the answer to AuthenticationMD5Password.
func MD5(user, password string, salt [4]byte) string {
	inner := md5.Sum([]byte(password + user))
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt[:]...))
	return "md5" + hex.EncodeToString(outer[:])
}

// Mechanism is SCRAM without channel binding, which needs TLS.
const Mechanism = "SCRAM-SHA-256"

// SCRAM is the client's side of one SCRAM-SHA-256 conversation.
type SCRAM struct{ conversation *scram.ClientConversation }

// NewSCRAM begins a conversation and returns the first message to the server.
func NewSCRAM(password string) (*SCRAM, []byte, error) {
	client, err := scramClient(password)
	if err != nil {
		return nil, nil, err
	}
	return start(client.NewConversation())
}

// scramClient knows a password.
func scramClient(password string) (*scram.Client, error) {
	if password == "" {
		return nil, ErrNoPassword
	}
	// PostgreSQL takes the user from the start-up packet and ignores the name given here.
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		// PostgreSQL uses a password that SASLprep refuses as it is.
		if client, err = scram.SHA256.NewClientUnprepped("", password, ""); err != nil {
			return nil, fmt.Errorf("prepare SCRAM: %w", err)
		}
	}
	return client, nil
}

// start returns a conversation with its first message.
func start(c *scram.ClientConversation) (*SCRAM, []byte, error) {
	first, err := c.Step("")
	if err != nil {
		return nil, nil, fmt.Errorf("begin SCRAM: %w", err)
	}
	return &SCRAM{c}, []byte(first), nil
}

// ErrUnproven is why a server is not believed to be the one that knows the password.
var ErrUnproven = errors.New("server did not prove that it knows the password")

// maxIterations bounds what a server may have the guard compute: a third of a second. PostgreSQL's default is 4,096, and
// who recommends numbers recommends less than a million.
const maxIterations = 1_000_000

// Continue answers the server's challenge.
func (s *SCRAM) Continue(challenge []byte) ([]byte, error) {
	for field := range bytes.SplitSeq(challenge, []byte{','}) {
		count, ok := bytes.CutPrefix(field, []byte("i="))
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(string(count)); err != nil || n < 1 || n > maxIterations {
			return nil, fmt.Errorf("continue SCRAM: server asks for a number of iterations that is not from 1 to %d", maxIterations)
		}
	}
	answer, err := s.conversation.Step(string(challenge))
	if err != nil {
		return nil, fmt.Errorf("continue SCRAM: %w", err)
	}
	return []byte(answer), nil
}

// Finish checks that the server knows the password, too.
func (s *SCRAM) Finish(final []byte) error {
	if _, err := s.conversation.Step(string(final)); err != nil {
		return fmt.Errorf("finish SCRAM: %w", err)
	}
	if !s.conversation.Valid() {
		return fmt.Errorf("finish SCRAM: %w", ErrUnproven)
	}
	return nil
}

// FromPassfile returns the password for a login in libpq's password file at path, or "". An empty path means the
// usual place. A file that others can read is ignored, as libpq does.
func FromPassfile(path, host, port, database, user string) string {
	if path == "" {
		path = os.Getenv("PGPASSFILE")
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		path = filepath.Join(home, ".pgpass")
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return ""
	}
	file, err := pgpassfile.ReadPassfile(path)
	if err != nil {
		return ""
	}
	if len(host) > 0 && host[0] == '/' {
		host = "localhost" // what libpq looks for in the case of a socket in its default directory
	}
	return file.FindPassword(host, port, database, user)
}
