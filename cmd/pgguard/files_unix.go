//go:build unix

package main

import "syscall"

// raiseFileLimit returns how many files may be open after it tried to have that be at least need. Beyond the hard limit
// only a privileged process comes.
func raiseFileLimit(need uint64) (uint64, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	if l.Cur >= need {
		return l.Cur, nil
	}
	for _, want := range []syscall.Rlimit{{Cur: need, Max: max(need, l.Max)}, {Cur: min(need, l.Max), Max: l.Max}} {
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) == nil {
			return want.Cur, nil
		}
	}
	return l.Cur, nil
}
