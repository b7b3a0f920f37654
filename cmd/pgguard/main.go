// Command pgguard is a pooling proxy for PostgreSQL that keeps the database at the load where it does the most work.
package main

import (
	"context"
	"os"
)

func main() {
	s := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	args, err := arguments(os.Args)
	if err != nil {
		os.Exit(report(usageError{err}, s.err))
	}
	os.Exit(run(context.Background(), args, s))
}
