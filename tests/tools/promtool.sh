#!/usr/bin/env bash
# promtool for the tests of the alert rules: PROMTOOL if set, else one on the PATH, else out of Debian's or Ubuntu's
# package prometheus, which is downloaded (20 MB) and not installed. Prints its path.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

works() { "$1" --version >/dev/null 2>&1; }

if [[ -n ${PROMTOOL:-} ]]; then
	works "$PROMTOOL" || fail "PROMTOOL=$PROMTOOL does not start"
	echo "$PROMTOOL"
	exit 0
fi
if command -v promtool >/dev/null && works promtool; then
	command -v promtool
	exit 0
fi
unpacked=$cache/promtool/usr/bin/promtool
if ! works "$unpacked"; then
	command -v apt-get >/dev/null || fail "no promtool found: install Prometheus, or set PROMTOOL to the path of one"
	lock promtool
	if ! works "$unpacked"; then
		say "downloading the package prometheus for its promtool: a few seconds, once"
		folder=$(mktemp -d "$cache/promtool.XXXXXX")
		trap 'rm -rf "$folder"' EXIT
		download() { (cd "$folder" && apt-get download -qq prometheus) >"$cache/promtool.log" 2>&1; }
		update() { [[ $(id -u) == 0 ]] && apt-get update -qq >"$cache/promtool.log" 2>&1; }
		download || { update && download; } ||
			{ tail -n 5 "$cache/promtool.log" >&2; fail "apt-get failed to download prometheus: run 'apt-get update', or set PROMTOOL"; }
		dpkg-deb --extract "$folder"/prometheus_*.deb "$folder/root"
		rm -rf "$cache/promtool"
		mv "$folder/root" "$cache/promtool"
	fi
	works "$unpacked" || fail "promtool was unpacked but does not start"
fi
echo "$unpacked"
