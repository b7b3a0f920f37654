#!/bin/sh
# Makes everything that a release has, in DIR: an archive for each platform, packages for Debian and Red Hat, what each program is made of, and the
# checksums of them all. The same commit gives the same files on every machine with the same Go.
#
#   deploy/dist.sh DIR VERSION
#
# NFPM names the program that makes packages; without it the pinned one is run from source. PACKAGES= makes none.
set -eu

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4

[ $# -eq 2 ] || {
	echo "usage: $0 DIR VERSION" >&2
	exit 2
}
mkdir -p "$1"
dir=$(cd "$1" && pwd) version=$2
cd "$(dirname "$0")/.."
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# manual and completions come from the program itself, by one for this machine.
mkdir "$work/text"
sh deploy/build.sh "$work" "$version" pgguard
"$work/pgguard" man >"$work/text/pgguard.1"
for shell in bash zsh fish; do "$work/pgguard" completion "$shell" >"$work/text/pgguard.$shell"; done

# The handbook, with what it is about at the places that its links name.
mkdir -p "$work/handbook/deploy"
cp -R docs SECURITY.md THREATS.md "$work/handbook"
for part in pgguard.yaml systemd prometheus grafana container kubernetes nixos heroku; do cp -R "deploy/$part" "$work/handbook/deploy"; done

# pack DIR: an archive in which nothing tells when and by whom it was made.
pack() {
	tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$1" | gzip -9n >"$dir/$1.tar.gz"
}

for platform in linux/amd64 linux/arm64 darwin/arm64; do
	os=${platform%/*} arch=${platform#*/}
	name=pgguard-$version-$os-$arch
	echo "$name" >&2
	mkdir -p "$work/$name"
	GOOS=$os GOARCH=$arch sh deploy/build.sh "$work/$name" "$version"
	if [ "$(wc -c <"$work/$name/pgguard")" -ge 20000000 ]; then # an image is the program, and 0.2 MB
		echo "$name: pgguard has 20 MB or more: see by go tool nm -size what has come in" >&2
		exit 1
	fi
	for program in pgguard pgguard-bench; do sh deploy/sbom.sh "$work/$name/$program" "$version" >"$dir/$name-$program.cdx.json"; done
	cp -R LICENSE README.md CHANGELOG.md "$work/text" "$work/handbook/." "$work/$name"
	pack "$name"
	[ "$os" = linux ] || continue
	for package in ${PACKAGES-deb rpm}; do
		number=$(sh deploy/number.sh "$version")
		sed "s|@WORK@|$work|g; s|@NAME@|$name|g; s|@ARCH@|$arch|g; s|@VERSION@|$number|g" deploy/nfpm.yaml >"$work/nfpm.yaml"
		if [ -n "${NFPM:-}" ]; then set -- "$NFPM"; else set -- go run "$nfpm"; fi
		"$@" package --config "$work/nfpm.yaml" --packager "$package" --target "$dir/" >&2
	done
done
cd "$dir"
find . -type f ! -name SHA256SUMS | sed 's|^\./||' | LC_ALL=C sort | xargs sha256sum >"$work/sums"
mv "$work/sums" SHA256SUMS
