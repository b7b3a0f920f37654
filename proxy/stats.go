package proxy

import (
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
)

// Stats is one snapshot of a Server, taken at scrape; it costs the clients nothing.
type Stats struct {
	Start    time.Time
	Draining bool
	// Clients counts client connections by state: "login", "idle", "waiting", "active", "idle_in_transaction".
	Clients map[string]int
	// Pinned counts clients that keep their server, by reason.
	Pinned map[string]int
	Pools  []instance.Stats
	// Refusals counts statements and logins refused, by reason and class.
	Refusals map[ReasonClass]uint64
	// WouldRefuse counts what observe mode let through.
	WouldRefuse map[ReasonClass]uint64
	Pins        map[string]uint64 // by reason
	Cancels     map[string]uint64 // by result: "sent", "queued", "idle", "unknown", "failed"
	Panics      uint64
	// Queries counts finished exchanges, by class.
	Queries map[string]uint64
	// Bytes counts what clients sent ("in") and were sent ("out").
	Bytes map[string]uint64
	// Times are histograms by class.
	QueryTime, TransactionTime, IdleInTransactionTime, QueueWait map[string]Histogram
	LoginTime                                                    Histogram
}

// ReasonClass is a closed label pair.
type ReasonClass struct{ Reason, Class string }

// Histogram is a cumulative histogram in seconds.
type Histogram = pool.Buckets
