#!/bin/sh
# Runs the application of examples/rails direct and through the guard: see doc.go.
#
#   sh proxy/conformance/rails/run.sh [-run TEST]
#
# It gets Ruby, Rails, Puma, Sidekiq and Redis by deploy/deps.sh. RAILS_ROUNDS is how often each is measured (2), RAILS_PHASE how long
# a phase takes (10s), RAILS_TABLE a file that gets the table, RAILS_LOGS a directory that keeps what the programs print.
set -eu
cd "$(dirname "$0")/../../.."
sh deploy/deps.sh >&2
sh deploy/deps.sh rails >&2
cache=$(sh deploy/cache.sh)/rails
mkdir -p "$cache"
go build -trimpath -o "$cache/pgguard" ./cmd/pgguard
RAILS_GUARD=$cache/pgguard exec go test -tags rails -count 1 -timeout 30m -v "$@" ./proxy/conformance/rails
