// Package otlp sends metrics and spans to an OpenTelemetry collector, by OTLP over HTTP, as JSON.
//
// Metrics are those of /metrics, gathered and turned into OpenTelemetry's forms. Spans are exchanges whose statements a comment puts into a trace: a span
// for the exchange, with one for its wait in it. What a collector does not take is dropped: nothing here holds up a client, and nothing grows.
//
// It is written by hand because OpenTelemetry's own libraries would make the program larger by several megabytes, for three kinds of metrics and one of spans.
package otlp
