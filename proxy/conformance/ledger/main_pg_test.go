//go:build pg

package ledger

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"pgguard/proxy/pgtest"
)

// shared is the cluster of every test.
var shared *pgtest.Cluster

// durable keeps what was acknowledged over the crash of a server. The machine itself does not crash.
var durable = map[string]string{"synchronous_commit": "on", "full_page_writes": "on", "max_connections": "100"}

func TestMain(m *testing.M) { os.Exit(withCluster(m)) }

// withCluster runs the tests with a cluster and looks for goroutines that are left after it.
func withCluster(m *testing.M) (code int) {
	var err error
	if shared, err = pgtest.Start(context.Background(), pgtest.Options{Settings: durable}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = m.Run()
	if err = shared.Stop(); err == nil {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}
