// Package upstream says where a PostgreSQL is and how to log in to it.
package upstream
