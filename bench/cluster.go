package bench

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"pgguard/proxy/pgtest"
)

// cluster is a PostgreSQL of our own.
type cluster struct {
	url string
	pg  *pgtest.Cluster
}

// startCluster starts a PostgreSQL with real durability and stock settings but for the number of connections.
func startCluster(ctx context.Context, maxConnections int, log io.Writer) (*cluster, error) {
	pg, err := pgtest.Start(ctx, pgtest.Options{
		Durable:  true,
		Settings: map[string]string{"max_connections": strconv.Itoa(maxConnections)},
		Log:      log,
	})
	if err != nil {
		return nil, fmt.Errorf("start a PostgreSQL: %w", err)
	}
	return &cluster{url: pg.URL("postgres"), pg: pg}, nil
}

// stop ends it and removes its data.
func (c *cluster) stop() {
	_ = c.pg.Stop() // nothing can be done about it, and its directory is a temporary one
}
