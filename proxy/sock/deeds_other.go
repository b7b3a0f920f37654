//go:build !unix

package sock

import (
	"errors"
	"os"
)

// NewDeeds is for systems with unix sockets.
func NewDeeds() (*Deeds, *os.File, error) { return nil, nil, errors.ErrUnsupported }

// OpenDeeds is for systems with unix sockets.
func OpenDeeds(*os.File) (*Deeds, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (d *Deeds) Close() {}
