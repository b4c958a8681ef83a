#!/usr/bin/env bash
# bwrap, which runs the chart's container without a node: BWRAP if set, else one on the PATH, else out of Debian's or Ubuntu's
# package bubblewrap, which is downloaded (50 kB) and not installed. Prints its path.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

works() { "$1" --version >/dev/null 2>&1; }

if [[ -n ${BWRAP:-} ]]; then
	works "$BWRAP" || fail "BWRAP=$BWRAP does not start"
	echo "$BWRAP"
	exit 0
fi
if command -v bwrap >/dev/null && works bwrap; then
	command -v bwrap
	exit 0
fi
unpacked=$cache/bubblewrap/usr/bin/bwrap
if ! works "$unpacked"; then
	command -v apt-get >/dev/null || fail "no bwrap found: install bubblewrap, or set BWRAP to the path of one"
	lock bubblewrap
	if ! works "$unpacked"; then
		say "downloading the package bubblewrap for its bwrap: a second, once"
		folder=$(mktemp -d "$cache/bubblewrap.XXXXXX")
		trap 'rm -rf "$folder"' EXIT
		download() { (cd "$folder" && apt-get download -qq bubblewrap) >"$cache/bubblewrap.log" 2>&1; }
		update() { [[ $(id -u) == 0 ]] && apt-get update -qq >"$cache/bubblewrap.log" 2>&1; }
		download || { update && download; } ||
			{ tail -n 5 "$cache/bubblewrap.log" >&2; fail "apt-get failed to download bubblewrap: run 'apt-get update', or set BWRAP"; }
		dpkg-deb --extract "$folder"/bubblewrap_*.deb "$folder/root"
		rm -rf "$cache/bubblewrap"
		mv "$folder/root" "$cache/bubblewrap"
	fi
	works "$unpacked" || fail "bwrap was unpacked but does not start: install the package bubblewrap"
fi
echo "$unpacked"
