package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgguard/proxy/pgtest"
)

// startGuard runs `pgguard serve` with nothing but addresses and what was wished for, unless the target names a file, and
// waits until it is ready. The server's URL goes by the environment, because everybody on the machine can read command lines.
func startGuard(ctx context.Context, t Target, serverURL string, w wish, log io.Writer) (live, error) {
	clients, err := pgtest.FreeAddress()
	if err != nil {
		return live{}, err
	}
	web, err := pgtest.FreeAddress()
	if err != nil {
		return live{}, err
	}
	dir, err := os.MkdirTemp("", "pgguard-bench-")
	if err != nil {
		return live{}, fmt.Errorf("make a directory for the guard: %w", err)
	}
	args := []string{"serve", "--listen", clients, "--http", web}
	config := t.Config
	if text := guardConfig(w); config == "" && text != "" {
		config = filepath.Join(dir, "pgguard.yaml")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			os.RemoveAll(dir)
			return live{}, fmt.Errorf("write the guard's file: %w", err)
		}
	}
	if config != "" {
		args = append(args, "-c", config)
	}
	c, err := startChild(log, t.Path, args, []string{"PGGUARD_UPSTREAM=" + serverURL, "XDG_CACHE_HOME=" + dir}, nil) // each run learns for itself
	if err != nil {
		os.RemoveAll(dir)
		return live{}, err
	}
	stop := func() {
		c.stop()
		os.RemoveAll(dir)
	}
	ready := func() error { return httpReady(ctx, "http://"+web+"/readyz") }
	if err := waitFor(ctx, c, ready); err != nil {
		stop()
		return live{}, fmt.Errorf("wait for the guard: %w", err)
	}
	return live{url: through(serverURL, clients), pids: []int{c.pid()}, metrics: []string{"http://" + web + "/metrics"}, stop: stop}, nil
}

// guardConfig is the file for a wish, "" when there is none.
func guardConfig(w wish) string {
	var b strings.Builder
	var pool []string
	if w.servers > 0 {
		pool = append(pool, fmt.Sprintf("max_servers: %d", w.servers))
	}
	if w.limit > 0 {
		pool = append(pool, fmt.Sprintf("limit: %d", w.limit))
	}
	if len(pool) > 0 {
		fmt.Fprintf(&b, "pool: {%s}\n", strings.Join(pool, ", "))
	}
	var users []string
	for _, name := range slices.Sorted(maps.Keys(w.secrets)) {
		users = append(users, fmt.Sprintf("%s: {password: %s}", name, w.secrets[name]))
	}
	if len(users) > 0 {
		fmt.Fprintf(&b, "auth: {users: {%s}}\n", strings.Join(users, ", "))
	}
	var class []string
	if w.queueWait > 0 {
		class = append(class, fmt.Sprintf("max_wait: %ds", w.queueWait))
	}
	if w.fifo {
		class = append(class, "interactive: false")
	}
	if len(class) > 0 {
		fmt.Fprintf(&b, "classes: [{name: all, %s}]\n", strings.Join(class, ", "))
	}
	return b.String()
}

func httpReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}
