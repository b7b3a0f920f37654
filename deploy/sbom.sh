#!/bin/sh
# Prints what a program is made of, as an SBOM in CycloneDX's form: the modules that the Go linker has written into it, with their checksums.
#
#   deploy/sbom.sh PROGRAM VERSION
set -eu

[ $# -eq 2 ] || {
	echo "usage: $0 PROGRAM VERSION" >&2
	exit 2
}
go version -m "$1" | awk -v name="$(basename "$1")" -v version="$2" '
	NR == 1 { go = $NF }
	$1 == "dep" { n++; path[n] = $2; of[n] = $3; sum[n] = $4 }
	$1 == "=>" { path[n] = $2; of[n] = $3; sum[n] = $4 }
	END {
		printf "{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n"
		printf "  \"metadata\": {\"component\": {\"type\": \"application\", \"name\": \"%s\", \"version\": \"%s\", \"licenses\": [{\"license\": {\"id\": \"Apache-2.0\"}}]}},\n", name, version
		printf "  \"components\": [\n"
		printf "    {\"type\": \"platform\", \"name\": \"go\", \"version\": \"%s\", \"purl\": \"pkg:golang/std@%s\"}", substr(go, 3), substr(go, 3)
		for (i = 1; i <= n; i++)
			printf ",\n    {\"type\": \"library\", \"name\": \"%s\", \"version\": \"%s\", \"purl\": \"pkg:golang/%s@%s\", \"properties\": [{\"name\": \"go:sum\", \"value\": \"%s\"}]}", path[i], of[i], path[i], of[i], sum[i]
		printf "\n  ]\n}\n"
	}'
