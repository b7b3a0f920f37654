//go:build !unix

package paper

import "io/fs"

// ofRoot is true for a file that root owns, which is not known here.
func ofRoot(fs.FileInfo) bool { return false }
