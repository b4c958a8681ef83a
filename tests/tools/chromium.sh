#!/usr/bin/env bash
# A Chromium for the browser tests: CHROME if set, else one on the PATH, else Debian's package where we are root.
# Prints its path.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

# Ubuntu's chromium is a stub that asks for a snap: only one that tells its version counts.
works() { "$1" --version >/dev/null 2>&1; }

find_one() {
	local name
	for name in chromium chromium-browser google-chrome google-chrome-stable; do
		if command -v "$name" >/dev/null && works "$name"; then
			command -v "$name"
			return
		fi
	done
	return 1
}

if [[ -n ${CHROME:-} ]]; then
	works "$CHROME" || fail "CHROME=$CHROME does not start"
	echo "$CHROME"
	exit 0
fi
find_one && exit 0
. /etc/os-release
[[ ${ID:-} == debian ]] || fail "no Chromium found: install one and set CHROME to its path"
[[ $(id -u) == 0 ]] || fail "no Chromium found: run 'sudo apt-get install chromium', or set CHROME to the path of one"
lock chromium
find_one && exit 0
say "installing Debian's package chromium into the system: about a minute, once"
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
	>"$cache/chromium.log" 2>&1 || { tail -n 20 "$cache/chromium.log" >&2; fail "apt-get failed to install chromium"; }
find_one || fail "chromium was installed but does not start"
