#!/bin/sh
# Builds the programs as they are shipped, small and the same on every machine, into a directory.
#
#   deploy/build.sh DIR VERSION [PROGRAM...]     for GOOS and GOARCH; without programs pgguard and pgguard-bench
#
# Static (no C), no symbols, no paths of this machine. Without HTTP/2 for the pages, which nobody needs there, and with what no statement
# passes through compiled without inlining: a fifteenth smaller.
set -eu

[ $# -ge 2 ] || {
	echo "usage: $0 DIR VERSION [PROGRAM...]" >&2
	exit 2
}
dir=$1 version=$2
shift 2
[ $# -gt 0 ] || set -- pgguard pgguard-bench
cd "$(dirname "$0")/.."

flags=
for packages in github.com/alecthomas/kong github.com/goccy/go-yaml/... github.com/prometheus/... google.golang.org/protobuf/... \
	github.com/jackc/pgx/v5/... github.com/xdg-go/... golang.org/x/text/... net/http/... encoding/json encoding/xml database/sql/... go/... \
	crypto/x509/... fmt html log/... mime/... reflect regexp/... text/... runtime/pprof internal/profile \
	pgguard/cmd/... pgguard/proxy/admin pgguard/proxy/config/... pgguard/proxy/console pgguard/proxy/dashboard pgguard/proxy/diagnosis pgguard/proxy/fleet/... \
	pgguard/proxy/metrics pgguard/proxy/otlp pgguard/proxy/witness; do
	flags="$flags -gcflags=$packages=-l"
done
for program; do
	# shellcheck disable=SC2086 # the flags are separate arguments
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags nethttpomithttp2 $flags -ldflags "-s -w -buildid= -X main.version=$version" \
		-o "$dir/" "./cmd/$program"
done
