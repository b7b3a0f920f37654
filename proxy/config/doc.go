// Package config reads pgguard's configuration file, checks all of it, and turns it into what the parts are told.
//
// A file is read once: its syntax tree is decoded into a [File] that holds the defaults, overrides from the command line
// and the environment are set by the same rules, then everything is checked together. Whatever is wrong is reported at
// once, each fault with its line, column and key path. Secrets are never part of a fault or of [File.Effective].
//
// The annotated reference of every key is deploy/pgguard.yaml; a test keeps it equal to [Default].
package config
