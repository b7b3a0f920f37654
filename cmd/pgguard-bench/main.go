// Command pgguard-bench measures pgguard beside a direct connection and PgBouncer.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"pgguard/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := bench.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
