// Package metrics shows a proxy's Stats to Prometheus.
//
// Nothing is counted here. A [Collector] takes one snapshot for each scrape and turns it into samples, so a scrape that
// nobody makes costs nothing. Every name starts with pgguard_, every unit is a base unit, and label values come from
// closed sets: class, reason, result, state and direction are words of the code or the configuration, database is the
// PostgreSQL instance (host:port) that a pool belongs to, never a name that a client gave.
package metrics
