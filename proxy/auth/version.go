package auth

import (
	"io/fs"
	"os"
)

// sameVersion is true if nothing of a file has changed between two looks at it, also where its name is a link that may lead elsewhere by now. nil is
// a file that was not there.
func sameVersion(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
