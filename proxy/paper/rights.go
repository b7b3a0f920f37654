package paper

import (
	"fmt"
	"io/fs"
	"os"
)

// KeyFault is why a file is not as safe as PostgreSQL wants a private key to be: others than its owner, or, where that is root, than its owner and a group, may
// read it or write to it. nil: it is, or there is no such file.
func KeyFault(path string) error {
	others := fs.FileMode(0o077)
	info, err := os.Stat(path)
	if err == nil && ofRoot(info) {
		others = 0o037
	}
	if err != nil || info.Mode().Perm()&others == 0 {
		return nil
	}
	return fmt.Errorf("%s can be read by others: its mode is %#o; chmod 600 (or, if root owns it, 640)", path, info.Mode().Perm())
}

// SecretFault is why everybody on the machine may read a file, or write to it. nil: not everybody may, or there is no such file.
func SecretFault(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o006 == 0 {
		return nil
	}
	return fmt.Errorf("%s can be read by everybody: its mode is %#o; chmod 640", path, info.Mode().Perm())
}
