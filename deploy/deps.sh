#!/bin/sh
# Installs what the tests, the demo and the bench need beside Go: the PostgreSQL server programs and a C compiler for the
# race detector, and PgBouncer too with the argument "bench". Says nothing and changes nothing where they are there already.
#
#   deploy/deps.sh [bench]
#
# It installs by apt-get, as root or through a sudo that asks for no password. No cluster is created, no service is
# started or enabled, and the two files that see to it are removed at the end. Elsewhere it prints what to install.
# Exit codes: 0 all is there, 1 something is missing, 2 usage.
set -eu

usage() {
	echo "usage: $0 [bench]" >&2
	exit 2
}

[ $# -le 1 ] || usage
[ $# -eq 0 ] || [ "$1" = bench ] || usage

say() { printf '%s\n' "$*" >&2; }

# is_server DIR: the server programs are in DIR.
is_server() { [ -x "$1/initdb" ] && [ -x "$1/postgres" ]; }

# have_server: the programs are where proxy/pgtest looks for them (see FindBinaries).
have_server() {
	if [ -n "${PGGUARD_PG_BIN:-}" ]; then
		is_server "$PGGUARD_PG_BIN" && return 0
		say "PGGUARD_PG_BIN names $PGGUARD_PG_BIN, which does not hold initdb and postgres: correct it or unset it"
		exit 1
	fi
	postgres=$(command -v postgres) && is_server "$(dirname "$postgres")" && return 0
	for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
		/opt/homebrew/opt/postgresql@*/bin /opt/homebrew/opt/postgresql/bin \
		/usr/local/opt/postgresql@*/bin /usr/local/opt/postgresql/bin \
		/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin \
		/Applications/Postgres.app/Contents/Versions/[0-9]*/bin /usr/local/pgsql/bin; do
		is_server "$dir" && return 0
	done
	return 1
}

have_pgbouncer() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v pgbouncer >/dev/null; }

missing=
have_server || missing=postgresql
command -v cc >/dev/null || command -v gcc >/dev/null || missing="$missing gcc libc6-dev" # for the race detector
if [ "${1:-}" = bench ] && ! have_pgbouncer; then
	missing="$missing pgbouncer"
fi
missing=${missing# }
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	say "missing: $missing. Install it with one of"
	say "  apt-get install $missing        (Debian, Ubuntu)"
	say "  brew install $missing           (macOS)"
	say "  dnf install $(echo "$missing" | sed 's/postgresql/postgresql-server postgresql-contrib/')        (Fedora, Red Hat)"
	say "or set PGGUARD_PG_BIN to the directory that holds initdb and postgres."
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		exec sudo -n sh "$0" "$@"
	fi
	say "missing: $missing. Run this script as root, or: sudo apt-get install $missing"
	exit 1
fi

# From here on: root, with apt-get. The files that keep the packages quiet go away however the script ends; nothing
# that was there before is touched.
no_cluster=/etc/postgresql-common/createcluster.d/pgguard-deps.conf
no_start=/usr/sbin/policy-rc.d
made=
made_dir=
tidy() {
	for file in $made; do rm -f "$file"; done
	[ -z "$made_dir" ] || rmdir "$made_dir" 2>/dev/null || true
}
trap tidy EXIT
trap 'exit 1' HUP INT TERM

if [ ! -e "$no_cluster" ]; then
	made="$made $no_cluster"
	[ -d "${no_cluster%/*}" ] || made_dir=${no_cluster%/*}
	mkdir -p "${no_cluster%/*}"
	echo "create_main_cluster = false" >"$no_cluster"
fi
if [ ! -e "$no_start" ]; then
	made="$made $no_start"
	printf '#!/bin/sh\nexit 101\n' >"$no_start"
	chmod 755 "$no_start"
fi

export DEBIAN_FRONTEND=noninteractive
get() { apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >&2; }

# shellcheck disable=SC2086 # the names are separate arguments
install() { get install --no-install-recommends $missing; }

lists=$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | head -n 1)
[ -n "$lists" ] || get update
if ! install; then # lists of long ago name packages that are gone
	get update
	install || {
		say "apt-get cannot install: $missing"
		exit 1
	}
fi
case $missing in
*pgbouncer*) update-rc.d pgbouncer disable >/dev/null 2>&1 || true ;; # its port is pgguard's
esac

have_server || {
	say "postgresql is installed, but initdb and postgres are in no place known: set PGGUARD_PG_BIN"
	exit 1
}
