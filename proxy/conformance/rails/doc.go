// Package rails runs the application of examples/rails with its own programs - Rails, Puma, Sidekiq, Redis - direct and through the guard.
//
// `make rails-example` runs it: deploy with Rails's default settings, a server that takes TLS and passwords alone, and then what the application's users meet in
// a bad quarter of a minute after another, direct and guarded in turns. It writes the table that stands in the README.md of the example.
package rails
