#!/bin/sh
# run.sh DIR [FILE...]: the tests of the PgBouncer that is checked out at DIR, or those of some files, with this pgguard as the program that they start. What they need beside
# PostgreSQL: pytest with asyncio, timeout and xdist, psycopg 3 and filelock (Debian: python3-pytest python3-pytest-asyncio python3-pytest-timeout python3-pytest-xdist
# python3-psycopg python3-filelock). Some hundred seconds. DIR is written to: pgbouncer, config.mak and, by a user other than root, who may start PostgreSQL, the certificates.
set -eu
dir=${1:?the directory of a checkout of PgBouncer: make pgbouncer-suite PGBOUNCER=DIR}
shift
test -f "$dir/test/conftest.py" || { echo "$dir is no checkout of PgBouncer" >&2; exit 1; }
go build -o "$dir/pgbouncer" ./cmd/pgguard
printf 'ldap_support = no\ntls_support = yes\n' > "$dir/config.mak"
run=
if [ "$(id -u)" = 0 ]; then
	chown -R postgres "$dir"
	run="setpriv --reuid=postgres --regid=postgres --init-groups"
fi
for bin in /usr/lib/postgresql/*/bin; do
	if [ -d "$bin" ]; then PATH=$bin:$PATH; fi
done
cd "$dir/test"
exec $run env HOME="$dir" PATH="$PATH" PGGUARD_HTTP=off python3 -m pytest -p no:cacheprovider -q --timeout 60 --tb=line -n "${WORKERS:-4}" --junitxml="$dir/suite.xml" "$@"
