#!/bin/sh
# Says what is done, at once and every 10 s until it is. What the command says itself comes between.
#
#   deploy/say.sh WHAT COMMAND [ARGUMENT...]
#
# The exit code is the command's.
set -eu

[ $# -ge 2 ] || {
	echo "usage: $0 WHAT COMMAND [ARGUMENT...]" >&2
	exit 2
}
what=$1
shift
printf '%s ...\n' "$what"
(
	seconds=0
	while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do # until the shell that waits below has ended
		seconds=$((seconds + 1))
		[ $((seconds % 10)) -ne 0 ] || printf '%s ... %d s\n' "$what" "$seconds"
	done
) &
code=0
"$@" || code=$?
[ "$code" -eq 0 ] || printf '%s failed\n' "$what"
exit "$code"
