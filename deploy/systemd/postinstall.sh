#!/bin/sh
# After the package is unpacked: its user, and that systemd knows its units. Nothing is started: without an upstream it could not serve. What runs is
# restarted after an update; its sockets stay, so nobody is refused.
set -e
command -v systemctl >/dev/null || exit 0
systemd-sysusers pgguard.conf || true
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || true
systemctl try-restart pgguard.service || true
