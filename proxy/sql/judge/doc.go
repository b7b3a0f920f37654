// Package judge tests pgguard/proxy/sql against PostgreSQL's own parser.
package judge
