#!/bin/sh
# Compares who comes in through the guard with who comes into PostgreSQL itself, and writes docs/authentication.md: see doc.go.
#
#   sh proxy/conformance/doors/run.sh
#
# It gets the servers by deploy/deps.sh, node-postgres from npm and pgjdbc from Maven Central into the cache that deploy/cache.sh names.
# DOORS_VERSIONS are the servers' major versions (14 18).
set -eu
cd "$(dirname "$0")/../../.."
sh deploy/deps.sh >&2
all=$(sh deploy/deps.sh versions)
cache=$(sh deploy/cache.sh)/doors
mkdir -p "$cache"
servers=
for major in ${DOORS_VERSIONS:-14 18}; do
	servers="$servers $(echo "$all" | sed -n "s/^$major //p")"
done
drivers=proxy/conformance/drivers
cp "$drivers/node-postgres/package.json" "$cache/"
[ -d "$cache/node_modules/pg" ] || (cd "$cache" && npm install --no-audit --no-fund >&2)
version=$(sed -n '/<artifactId>postgresql</{n;s/.*<version>\(.*\)<.*/\1/p;}' "$drivers/pgjdbc/pom.xml")
jar=$cache/postgresql-$version.jar
[ -f "$jar" ] || mvn -q dependency:copy -Dartifact="org.postgresql:postgresql:$version" -DoutputDirectory="$cache" >&2
mkdir -p docs
DOORS_SERVERS=$servers DOORS_NODE=$cache DOORS_JDBC=$jar DOORS_DOC=${DOORS_DOC-$PWD/docs/authentication.md} \
	exec go test -tags doors -count 1 -timeout 30m -v -run 'TestDoors$' ./proxy/conformance/doors
