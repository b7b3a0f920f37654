// Package pgbouncer reads the configuration of PgBouncer 1.25 and says it in pgguard's words.
//
// The file is read as PgBouncer reads it ([Read]): sections, %include, what counts of a line that is there twice. Every key is in
// one table with what becomes of it (settings.go). [Convert] makes a pgguard.yaml of it in which a comment tells of each line that means
// something else here, or nothing. What PgBouncer keeps and pgguard could not is a fault, with the place of its line; faults of
// the configuration that comes out have the places of the lines they come from.
package pgbouncer
