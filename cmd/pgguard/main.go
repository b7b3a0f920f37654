// Command pgguard is a pooling proxy for PostgreSQL that keeps the database at the load where it does the most work.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
