#!/bin/sh
# Holds what is in this directory against the tools that will read it, where Go's tests cannot: systemd-analyze, a shell, docker-compose, and Nix.
# They are installed by apt-get where root may, else it says what is missing. Exit codes: 0 all is well, 1 something is not, or a tool is missing.
set -eu
cd "$(dirname "$0")"

missing=
command -v systemd-analyze >/dev/null || missing="$missing systemd"
command -v docker-compose >/dev/null || missing="$missing docker-compose"
command -v nix-instantiate >/dev/null || missing="$missing nix-bin"
if [ -n "$missing" ] && command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
	# shellcheck disable=SC2086 # the names are separate arguments
	DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing >&2 && missing=
fi
[ -z "$missing" ] || {
	echo "missing:$missing" >&2
	exit 1
}

# exposed FILE: how much of the machine a unit leaves open, in tenths of systemd's points, of 100.
exposed() { systemd-analyze security --offline=true "$1" | sed -n 's/.*exposure level for .*: \([0-9]*\)\.\([0-9]\).*/\1\2/p'; }

points=$(exposed systemd/pgguard.service)
echo "pgguard.service: $points of 100, at most 25"
[ "${points:-100}" -lt 25 ]

# The unit names a program that need not be installed here.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp systemd/pgguard.socket "$dir"
sed 's|/usr/bin/pgguard|/bin/true|' systemd/pgguard.service >"$dir/pgguard.service"
systemd-analyze verify --man=no "$dir/pgguard.service" "$dir/pgguard.socket"
echo "pgguard.service, pgguard.socket: ok"

docker-compose -f container/compose.yaml config >/dev/null
echo "container/compose.yaml: ok"

for file in nixos/*.nix; do
	nix-instantiate --parse "$file" >/dev/null
	echo "$file: ok"
done
[ "$(nix-instantiate --eval --strict nixos/check.nix)" = true ]
echo "nixos/module.nix: what it makes of its options is right"

# Examples of the handbook are modules, or what stands in one.
cat ../docs/*.md | awk -v dir="$dir" '
	/^```$/ && file { if (bare) print "}" >file; close(file); file = "" }
	file && !begun++ && !/^{/ { print "{ lib, ... }: {" >file; bare = 1 }
	file { print >file }
	/^```nix$/ { file = dir "/example" ++n ".nix"; begun = bare = 0 }'
for file in "$dir"/example*.nix; do nix-instantiate --parse "$file" >/dev/null; done
echo "examples in docs/: ok"

# The package is built from what go mod vendor makes, whose hash must be known before.
go mod vendor -o "$dir/vendor"
hash=$(nix --extra-experimental-features nix-command hash path "$dir/vendor")
sum=$(sha256sum ../go.sum | cut -c 1-16)
grep -qF "\"$hash\"" nixos/package.nix && grep -qFx "# go.sum: $sum" nixos/package.nix || {
	echo "nixos/package.nix: vendorHash must be $hash, and the line above it: # go.sum: $sum" >&2
	exit 1
}
echo "nixos/package.nix: vendorHash is right"
