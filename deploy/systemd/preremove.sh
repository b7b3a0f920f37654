#!/bin/sh
# Before the package goes; not before an update, whose scripts restart what runs.
set -e
case ${1:-} in remove | 0) ;; *) exit 0 ;; esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now pgguard.service pgguard.socket || true
