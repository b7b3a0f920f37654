#!/bin/sh
# Runs the tests of real drivers directly and through the guard, and prints a table: see doc.go.
#
#   sh proxy/conformance/drivers/run.sh [driver...]
#
# It gets what it needs: the languages by deploy/deps.sh, the drivers from PyPI, npm, Maven Central and the Go module proxy
# into proxy/conformance/drivers/.cache and Maven's and Go's own caches. A driver that cannot be had is reported as NOT RUN and makes the run
# fail, unless DRIVERS_OPTIONAL names it ("activerecord ruby-pg").
#
# DRIVERS_GUARD names a pgguard binary (default: built from this checkout), DRIVERS_FLAGS more flags of the program
# ("-pool 8 -neighbours 10 -seed 7"). The logs are in proxy/conformance/drivers/.cache/log. Exit codes: 0 all passed, 1 not, 2 it did not run.
set -eu
cd "$(dirname "$0")/../../.."
cache=$PWD/proxy/conformance/drivers/.cache
rm -rf "$cache/missing"
mkdir -p "$cache/missing" "$cache/log"

say() { printf '%s\n' "$*" >&2; }

# wanted NAME...: no driver was named, or one of these was, or one of its kinds.
wanted() {
	[ -n "$drivers" ] || return 0
	for w in $drivers; do
		for n in "$@"; do
			[ "${w%%/*}" != "$n" ] || return 0
		done
	done
	return 1
}

# prepare TOOLS COMMAND...: gets what TOOLS needs; why that cannot be is noted where the program looks for it.
prepare() {
	name=$1
	shift
	log=$cache/log/install-$name.log
	"$@" >"$log" 2>&1 </dev/null || {
		printf '%s; see %s\n' "$(grep -v '^[[:space:]]*$' "$log" | tail -n 1)" "$log" >"$cache/missing/$name"
		say "drivers: cannot get what $name needs: $(cat "$cache/missing/$name")"
	}
}

python() {
	[ -x "$cache/venv/bin/python" ] || python3 -m venv "$cache/venv" || return 1
	"$cache/venv/bin/python" -m pip install -q --disable-pip-version-check \
		-r proxy/conformance/drivers/psycopg3/requirements.txt -r proxy/conformance/drivers/psycopg2/requirements.txt -r proxy/conformance/drivers/asyncpg/requirements.txt
}

node_modules() {
	mkdir -p "$cache/$1" && cp "proxy/conformance/drivers/$1/package.json" "$cache/$1/" &&
		npm install --prefix "$cache/$1" --no-audit --no-fund --no-package-lock
}

java() { (cd proxy/conformance/drivers/pgjdbc && mvn -q -B test-compile surefire:test -DskipTests -Dstyle.color=never); }

ruby_gems() { ruby -e 'require "pg"; require "active_record"; require "minitest"'; }

drivers=$*
sh deploy/deps.sh || exit 2
sh deploy/deps.sh drivers || say "drivers: some languages are missing; going on with the others"
if wanted psycopg3 psycopg2 asyncpg; then prepare python python; fi
if wanted node-postgres; then prepare node-postgres node_modules node-postgres; fi
if wanted postgresjs; then prepare postgresjs node_modules postgresjs; fi
if wanted pgjdbc; then prepare pgjdbc java; fi
if wanted ruby-pg activerecord; then prepare ruby ruby_gems; fi
if [ -z "${DRIVERS_GUARD:-}" ]; then
	DRIVERS_GUARD=$cache/pgguard
	go build -trimpath -o "$DRIVERS_GUARD" ./cmd/pgguard || exit 2
fi
(cd proxy/conformance/drivers && go build -o "$cache/drivers" .) || exit 2
if wanted pgx pq; then prepare go sh -c 'cd proxy/conformance/drivers && go vet -tags pg ./pgx ./pq'; fi
# shellcheck disable=SC2086 # the flags are separate arguments
exec "$cache/drivers" -guard "$DRIVERS_GUARD" ${DRIVERS_FLAGS:-} "$@"
