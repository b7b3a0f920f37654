// Drivers runs real drivers directly against PostgreSQL and through the guard, with the same assertions.
//
//	sh proxy/conformance/drivers/run.sh [driver...]
//
// Each driver has a directory with a test program of its own ecosystem, which knows nothing but the environment:
// DRIVERS_URL and libpq's PGHOST, PGPORT, PGUSER, PGDATABASE and PGSSLMODE. It runs twice, each time in a new database:
// against PostgreSQL itself, and through a new guard with a small pool that noisy neighbours (package neighbours) share
// with it. The neighbours use the same user and database, so they share the driver's servers, and check what they see
// as well.
//
// A driver passes when its program says that tests passed, that none failed and none was skipped, and that there are
// as many through the guard as directly; when no neighbour saw anything wrong; when the guard never had more servers
// than its cap; and when nothing is left after everybody has gone.
package main
