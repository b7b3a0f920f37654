#!/bin/sh
# Runs the tests that need a PostgreSQL server against versions 14 to 18, and prints what came of each.
#
#   sh deploy/versions.sh [MAJOR]…
#
# The servers come from deploy/deps.sh versions. PGGUARD_TEST_RUN is a pattern of the tests to run; without it all run.
# Exit codes: 0 all passed, 1 something failed.
set -eu

: "${PGGUARD_TEST_RUN:=}"

cd "$(dirname "$0")/.."
sh deploy/deps.sh
all=$(sh deploy/deps.sh versions)
cache=$(sh deploy/cache.sh)
logs=$cache/versions
mkdir -p "$logs"

# The packages of this module whose tests start a server.
packages="proxy proxy/conformance/difference proxy/conformance/ledger"
for package in $packages; do
	go test -c -tags pg -o "$logs/$(basename "$package").test" "./$package"
done

# tools prints the major version of the replication programs, which come with Debian's server and not with these.
tools() {
	for program in pg_basebackup /usr/lib/postgresql/*/bin/pg_basebackup; do
		"$program" --version 2>/dev/null | sed 's/[^0-9]*\([0-9]*\).*/\1/'
	done | sort -n | tail -n 1
}
tools=$(tools)

# count PATTERN FILE: how many lines of FILE match.
count() { grep -c "$1" "$2" || true; }

table=$(mktemp)
trap 'rm -f "$table"' EXIT
failed=0
printf '%-8s %-12s %7s %7s\n' server package passed failed >"$table"
for major in ${*:-14 15 16 17 18}; do
	bin=$(echo "$all" | sed -n "s/^$major //p")
	if [ -z "$bin" ]; then
		echo "there is no PostgreSQL $major here; there are: $(echo "$all" | cut -d' ' -f1 | tr '\n' ' ')" >&2
		exit 2
	fi
	skip='^$'
	if [ "$major" -gt "${tools:-0}" ]; then # these programs refuse to talk to a server newer than they are
		skip='^(TestBaseBackupByTool|TestReceiveWALByTool)$'
		note="not run with servers newer than $tools, pg_basebackup's own version: TestBaseBackupByTool, TestReceiveWALByTool"
	fi
	for package in $packages; do
		name=$(basename "$package")
		log=$logs/$name-$major.log
		echo "PostgreSQL $major, $name" >&2
		status=0
		(cd "$package" && PGGUARD_PG_BIN=$bin "$logs/$name.test" -test.v -test.timeout 20m \
			-test.run "$PGGUARD_TEST_RUN" -test.skip "$skip") >"$log" 2>&1 || status=$?
		passed=$(count '^--- PASS' "$log") bad=$(count '^--- FAIL' "$log")
		printf '%-8s %-12s %7d %7d\n' "$("$bin/postgres" --version | sed 's/.* //')" "$name" "$passed" "$bad" >>"$table"
		if [ "$status" -ne 0 ] || [ "$passed$PGGUARD_TEST_RUN" = 0 ]; then
			failed=1
			sed -n 's/^--- FAIL: \([^ ]*\).*/  \1/p' "$log" >>"$table"
			echo "  see $log" >>"$table"
		fi
	done
done
cat "$table"
[ -z "${note:-}" ] || echo "$note"
exit "$failed"
