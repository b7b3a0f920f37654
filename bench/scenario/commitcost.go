package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgguard/bench/load"
)

// commitTries is of how many transactions the middle one is taken: a disk is slow now and then.
const commitTries = 101

// CommitCost returns what the update of a row takes on the idle server, and what its commit takes beyond that of a
// transaction that need not wait for the disk. Prepare must have run.
func (s *Server) CommitCost(ctx context.Context) (update, flush time.Duration, err error) {
	conn, err := load.ConnectSide(ctx, s.URL)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var updates, commits [2][]time.Duration // without and with the wait
	for i := range 2 * commitTries {
		wait := i % 2
		if _, err := conn.Exec(ctx, "SET synchronous_commit = "+[]string{"off", "on"}[wait]); err != nil {
			return 0, 0, fmt.Errorf("find the cost of a commit: %w", err)
		}
		for _, step := range []struct {
			sql  string
			took *[]time.Duration
		}{
			{"BEGIN", nil}, {fmt.Sprintf("UPDATE bench_media SET seen = seen + 1 WHERE id = %d", 1+i), &updates[wait]}, {"COMMIT", &commits[wait]},
		} {
			start := time.Now()
			if _, err := conn.Exec(ctx, step.sql); err != nil {
				return 0, 0, fmt.Errorf("find the cost of a commit: %w", err)
			}
			if step.took != nil {
				*step.took = append(*step.took, time.Since(start))
			}
		}
	}
	return middle(updates[0]), max(middle(commits[1])-middle(commits[0]), 0), nil
}

// middle is the median of an odd number of times.
func middle(times []time.Duration) time.Duration {
	times = slices.Sorted(slices.Values(times))
	return times[len(times)/2]
}
