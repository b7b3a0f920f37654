#!/bin/sh
# Installs the programs of a directory, the manual, completions and systemd's units below a prefix, and a configuration where there is none.
#
#   deploy/install.sh BIN PREFIX     DESTDIR, if it is set, stands before the prefix and before /etc
#
# Everybody may read all of it, whatever the umask is: the service does not run as root, and root's umask often is stricter than others'.
set -eu

[ $# -eq 2 ] || {
	echo "usage: $0 BIN PREFIX" >&2
	exit 2
}
umask 022
bin=$(cd "$1" && pwd) prefix=$2 root=${DESTDIR:-}
cd "$(dirname "$0")"

work=$(mktemp)
trap 'rm -f "$work"' EXIT

# put MODE FROM TO
put() {
	mkdir -p "$(dirname "$root$3")"
	install -m "$1" "$2" "$root$3"
	echo "$root$3"
}
for program in pgguard pgguard-bench; do put 0755 "$bin/$program" "$prefix/bin/$program"; done
"$bin/pgguard" man >"$work"
put 0644 "$work" "$prefix/share/man/man1/pgguard.1"
for shell in bash zsh fish; do
	"$bin/pgguard" completion "$shell" >"$work"
	case $shell in
	bash) put 0644 "$work" "$prefix/share/bash-completion/completions/pgguard" ;;
	zsh) put 0644 "$work" "$prefix/share/zsh/site-functions/_pgguard" ;;
	fish) put 0644 "$work" "$prefix/share/fish/vendor_completions.d/pgguard.fish" ;;
	esac
done
put 0644 pgguard.yaml "$prefix/share/doc/pgguard/pgguard.yaml"
put 0644 systemd/pgguard.socket "$prefix/lib/systemd/system/pgguard.socket"
sed "s|/usr/bin/|$prefix/bin/|" systemd/pgguard.service >"$work"
put 0644 "$work" "$prefix/lib/systemd/system/pgguard.service"
put 0644 systemd/sysusers.conf "$prefix/lib/sysusers.d/pgguard.conf"
[ -e "$root/etc/pgguard/pgguard.yaml" ] || put 0644 systemd/pgguard.yaml /etc/pgguard/pgguard.yaml
