#!/bin/sh
# Builds the programs as they are shipped, small and the same on every machine, into a directory.
#
#   deploy/build.sh DIR VERSION [PROGRAM...]     for GOOS and GOARCH; without programs pgguard and pgguard-bench
#
# Static (no C), no symbols, no paths of this machine. Without HTTP/2 for the pages, which nobody needs there, and with what no statement
# passes through compiled without inlining, and functions set at every 16th byte and not at every 32nd: a twelfth smaller.
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
	pgguard/proxy/metrics pgguard/proxy/otlp pgguard/proxy/witness pgguard/proxy/auth pgguard/proxy/upstream pgguard/proxy/paper \
	github.com/jackc/pgproto3/... golang.org/x/sync/... vendor/golang.org/x/net/... vendor/golang.org/x/text/... \
	math/big compress/... encoding/asn1 encoding/csv encoding/base64 encoding/pem sort net net/netip net/textproto net/url os os/... path/... \
	crypto/ecdsa crypto/rsa crypto/elliptic crypto/ecdh crypto/ed25519 crypto/hpke crypto/internal/fips140/ecdsa \
	crypto/internal/fips140/rsa crypto/internal/fips140/drbg crypto/internal/fips140/ed25519 crypto/internal/fips140/edwards25519/... \
	crypto/internal/fips140/nistec/... crypto/internal/fips140/mlkem crypto/internal/fips140/pbkdf2; do
	flags="$flags -gcflags=$packages=-l"
done
for program; do
	# shellcheck disable=SC2086 # the flags are separate arguments
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags nethttpomithttp2 $flags -ldflags "-s -w -buildid= -funcalign=16 -X main.version=$version" \
		-o "$dir/" "./cmd/$program"
done
