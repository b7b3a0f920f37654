#!/bin/sh
# After the package has gone: systemd forgets its units. A purge takes what the law has learned, too; what is in /etc/pgguard beside the package's own
# file is its owner's.
set -e
case ${1:-} in upgrade | failed-upgrade | abort-* | disappear | 1) exit 0 ;; purge) rm -rf /var/cache/pgguard ;; esac
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || true
