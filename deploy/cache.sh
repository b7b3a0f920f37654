#!/bin/sh
# Prints the directory where deploy/versions.sh and proxy/conformance/regress/run.sh keep what they fetch, and makes it if need be.
#
# PGGUARD_CACHE names another. It is not in the checkout, because PostgreSQL does not run as root and must be able to read
# what lies in there: for root it is below /var/tmp, for everybody else in the user's own cache.
set -eu

if [ -n "${PGGUARD_CACHE:-}" ]; then
	dir=$PGGUARD_CACHE
elif [ "$(id -u)" -eq 0 ]; then
	dir=/var/tmp/pgguard
else
	dir=${XDG_CACHE_HOME:-$HOME/.cache}/pgguard
fi
umask 022
mkdir -p "$dir"
if [ ! -O "$dir" ]; then # in a directory for everybody, somebody else may have made it
	echo "$0: $dir is not yours: remove it, or name another directory in PGGUARD_CACHE" >&2
	exit 1
fi
cd "$dir"
pwd
