// Package metrics shows a proxy's Stats to Prometheus.
//
// Nothing is counted here. A [Collector] takes one snapshot for each scrape and turns it into samples, so a scrape that
// nobody makes costs nothing. Every name starts with pgguard_, every unit is a base unit, and label values come from
// closed sets: class, reason, result, state and direction are words of the code or the configuration, database is the
// PostgreSQL instance (host:port) that a pool belongs to, never a name that a client gave.
//
// Histograms are classic and native at once: who scrapes protobuf is sent both, who scrapes text the classic buckets. The native ones need a type of
// client_model, which is what client_golang's own interface is made of; it is kept by the authors of Prometheus, and was in the program before.
//
// A scrape with 10,000 clients takes about 11 ms on a core that others use, too: 6.5 ms for the snapshot (BenchmarkStatsOfManyClients in package proxy), which holds
// each session's lock for some nanoseconds, and 2 to 4 ms for the samples (BenchmarkScrape), much of it those of the Go runtime.
package metrics
