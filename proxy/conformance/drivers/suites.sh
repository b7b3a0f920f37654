#!/bin/sh
# Runs the drivers' own tests through the guard and lists what fails there and not directly, with the reason that
# suites.txt gives. A failure without a reason makes it fail.
#
#   sh proxy/conformance/drivers/suites.sh [pgx-pooler|pgx|pq|pq-binary]
#
# The sources are those of the Go modules in go.mod, copied to proxy/conformance/drivers/.cache/suites. pgx-pooler, the tests that pgx has for
# poolers, runs among noisy neighbours with a pool of 4, the others alone with a pool of 40: they tie many sessions to
# servers at once. Environment and exit codes are those of run.sh.
set -eu
cd "$(dirname "$0")/../../.."
cache=$PWD/proxy/conformance/drivers/.cache
rm -rf "$cache/suites" "$cache/missing"
mkdir -p "$cache/suites" "$cache/missing" "$cache/log"

# copy NAME MODULE: puts the module's source into the cache, and gets what its tests need.
copy() {
	log=$cache/log/install-suite-$1.log
	{
		dir=$(cd proxy/conformance/drivers && go list -m -f '{{.Dir}}' "$2") && [ -n "$dir" ] &&
			cp -r "$dir" "$cache/suites/$1" && chmod -R u+w "$cache/suites/$1" &&
			(cd "$cache/suites/$1" && go mod download)
	} >"$log" 2>&1 || printf '%s; see %s\n' "$(tail -n 1 "$log")" "$log" >"$cache/missing/suite-$1"
}

sh deploy/deps.sh || exit 2
(cd proxy/conformance/drivers && go mod download) || exit 2
copy pgx github.com/jackc/pgx/v5
copy pq github.com/lib/pq
if [ -z "${DRIVERS_GUARD:-}" ]; then
	DRIVERS_GUARD=$cache/pgguard
	go build -trimpath -o "$DRIVERS_GUARD" ./cmd/pgguard || exit 2
fi
(cd proxy/conformance/drivers && go build -o "$cache/drivers" .) || exit 2
code=0
for suite in ${*:-pgx-pooler pgx pq pq-binary}; do
	case $suite in
	pgx-pooler) flags= ;;
	*) flags="-pool 40 -pinned 30 -neighbours 0" ;;
	esac
	# shellcheck disable=SC2086 # the flags are separate arguments
	"$cache/drivers" -suites -guard "$DRIVERS_GUARD" -within 10m $flags ${DRIVERS_FLAGS:-} "$suite" || code=1
done
exit $code
