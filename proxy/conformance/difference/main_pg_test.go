//go:build pg

package difference

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// shared is the arena of every test.
var shared *arena

func TestMain(m *testing.M) { os.Exit(withArena(m)) }

// withArena runs the tests with an arena and looks for goroutines that are left after it.
func withArena(m *testing.M) (code int) {
	ctx := context.Background()
	var err error
	if shared, err = newArena(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	} else {
		code = m.Run()
	}
	if shared != nil {
		err = shared.close(ctx)
	}
	if err == nil {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}
