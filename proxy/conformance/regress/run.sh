#!/bin/sh
# Runs PostgreSQL's own regression suite through the guard, and fails if a test fails that expected.txt does not name.
#
#   sh proxy/conformance/regress/run.sh [direct|transaction|session]…
#
# Without an argument it runs all three: direct is the server itself, for comparison. The guard is bin/pgguard, built here,
# or the program that PGGUARD_PROGRAM names.
#
# The suite is not part of this repository. It is src/test/regress of the PostgreSQL source, and must be of the server's own
# version. On Debian and Ubuntu this script gets it with apt-get (source package postgresql-N) and builds its one C
# library with the headers of postgresql-server-dev-N, which are unpacked beside it, not installed. Elsewhere
# PGGUARD_REGRESS_SUITE names that directory, in which `make` has been run so that it holds regress.so.
set -eu

root=$(cd "$(dirname "$0")/../../.." && pwd)
say() { printf '%s\n' "$*" >&2; }

# sources writes the machine's own package sources, as sources of source packages, into $1.
sources() {
	for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources; do
		[ ! -f "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$1/$(basename "$file")"
	done
	[ ! -f /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$1/main.list"
}

# fetch VERSION MAJOR DIR: gets the suite of a Debian package's version into DIR. $bin holds the server programs.
fetch() {
	version=$1 major=$2 dir=$3
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/sources" "$work/lists/partial" "$work/archives/partial" "$work/headers"
	sources "$work/sources"
	apt="-q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$work/sources"
	apt="$apt -o Dir::State::Lists=$work/lists -o Dir::Cache::Archives=$work/archives -o APT::Sandbox::User="
	say "getting the regression suite of postgresql-$major $version"
	# shellcheck disable=SC2086 # the options are separate arguments
	(
		cd "$work"
		apt-get $apt update >&2
		apt-get $apt source --download-only "postgresql-$major=$version" >&2
		apt-get -q -o APT::Sandbox::User= download "postgresql-server-dev-$major=$version" "libpq-dev=$version" >&2
	)
	for package in "$work"/*.deb; do dpkg -x "$package" "$work/headers"; done
	tar xf "$work"/*.orig.tar.* -C "$work" --strip-components=4 --wildcards '*/src/test/regress/*'
	include=$work/headers/usr/include/postgresql
	cc -O2 -fPIC -shared -I"$include/$major/server" -I"$include" -o "$work/regress.so" "$work/regress.c"
	lib=$(readlink -f "$bin/postgres")
	lib=${lib%/bin/postgres}/lib
	mkdir -p "$dir.building"
	for part in sql expected data parallel_schedule resultmap regress.so; do
		[ ! -e "$work/$part" ] || cp -R "$work/$part" "$dir.building/"
	done
	cp "$lib/autoinc.so" "$lib/refint.so" "$dir.building/" # the suite wants them beside its own
	chmod -R go+rX "$dir.building"
	mv "$dir.building" "$dir"
}

suite=${PGGUARD_REGRESS_SUITE:-}
bin=$(cd "$root" && go run ./proxy/conformance/regress -print-bin-dir)
if [ -z "$suite" ]; then
	major=$("$bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
	version=$(dpkg-query -W -f '${Version}' "postgresql-$major" 2>/dev/null) || {
		say "the server in $bin is not Debian's: name src/test/regress of its source, built with make, in PGGUARD_REGRESS_SUITE"
		exit 1
	}
	suite=$(sh "$root/deploy/cache.sh")/regress-$version
	if [ ! -d "$suite" ]; then
		rm -rf "$suite.building"
		fetch "$version" "$major" "$suite"
	fi
fi
cd "$root"
program=${PGGUARD_PROGRAM:-}
if [ -z "$program" ]; then
	program=bin/pgguard
	go build -trimpath -o "$program" ./cmd/pgguard
fi
exec go run ./proxy/conformance/regress -suite "$suite" -program "$program" "$@"
