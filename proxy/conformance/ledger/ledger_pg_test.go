//go:build pg

package ledger

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// The lengths of a round: of the only one by default, and of those that are played with LEDGER.
const (
	byDefault = 22 * time.Second
	each      = 30 * time.Second
)

// without leaves out forms, of a fault that is found and not repaired; nil: none.
var without *regexp.Regexp

// Rounds of clients, guards and disturbances, until one ends with a table that does not say what the ledgers do.
func TestLedger(t *testing.T) {
	seed, direct, keep := rand.Uint64()>>40, os.Getenv("LEDGER_DIRECT") != "", os.Getenv("LEDGER_KEEP") != ""
	if v := os.Getenv("LEDGER_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("LEDGER_SEED: %v", err)
		}
		seed = n
	}
	if v := os.Getenv("LEDGER_WITHOUT"); v != "" {
		without = regexp.MustCompile(v)
	}
	length, end := byDefault, time.Now()
	if v := os.Getenv("LEDGER"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			t.Fatalf("LEDGER: %v", err)
		}
		length, end = min(each, d), time.Now().Add(d)
	}
	tap := pgtest.NewTap(t, net.JoinHostPort(shared.Host(), strconv.Itoa(shared.Port())))
	found := map[string]int{}
	for n := 0; n == 0 || time.Now().Before(end) && (keep || !t.Failed()); n++ {
		for k, count := range play(t, shared, tap, seed, direct, length).show(t, seed, keep) {
			found[k] += count
		}
		seed++
	}
	if len(found) > 0 {
		var lines []string
		for _, k := range slices.Sorted(maps.Keys(found)) {
			lines = append(lines, fmt.Sprintf("%5d %s", found[k], k))
		}
		t.Errorf("all that was wrong:\n%s", strings.Join(lines, "\n"))
	}
}
