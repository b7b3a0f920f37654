//go:build !unix

package sock

import (
	"errors"
	"os"
)

func (p *Passage) sendRights([]byte, int) error { return errors.ErrUnsupported }

func (p *Passage) receiveHead([]byte) (*os.File, error) { return nil, errors.ErrUnsupported }

// Pair is for systems with unix sockets.
func Pair() (ours *Passage, theirs *os.File, err error) { return nil, nil, errors.ErrUnsupported }
