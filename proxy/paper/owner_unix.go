//go:build unix

package paper

import (
	"io/fs"
	"syscall"
)

// ofRoot is true for a file that root owns.
func ofRoot(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}
