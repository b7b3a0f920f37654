#!/bin/sh
# Prints the number by which packages know a version: one that is later is higher, for dpkg and for rpm, which allow no - in it.
#
#   deploy/number.sh VERSION     as git describe has it: v0.2.0, v0.2.0-rc1, v0.2.0-5-gab12cd3, ab12cd3, each with -dirty; else as it is without v
#
# A version without a tag before it is below all that have one, and goes by SOURCE_DATE_EPOCH, the time of its commit.
set -eu

[ $# -eq 1 ] || {
	echo "usage: $0 VERSION" >&2
	exit 2
}
number=${1#v}
case $number in
[0-9]*.*) ;;
*) number=0.0.0-$(date -u -d "@${SOURCE_DATE_EPOCH:?}" +%Y%m%d%H%M%S).$number ;;
esac
printf '%s\n' "$number" | sed 's/-dirty$/+dirty/; s/-\([0-9][0-9]*\)-g\([0-9a-f]*\)/+\1.g\2/; s/-/~/g'
