#!/usr/bin/env bash
# cargo-deny: the one on the PATH, else compiled once into .cache/cargo-deny/. Prints its path.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

version=0.20.2
into=$cache/cargo-deny

if command -v cargo-deny >/dev/null; then
	command -v cargo-deny
	exit 0
fi
if [[ ! -x $into/bin/cargo-deny ]]; then
	lock cargo-deny
	if [[ ! -x $into/bin/cargo-deny ]]; then
		say "compiling cargo-deny $version from its crate into .cache/cargo-deny: several minutes, once"
		cargo install --quiet --locked --root "$into" --target-dir "$cache/cargo-deny-target" "cargo-deny@$version" >&2 ||
			fail "failed to compile cargo-deny"
		rm -rf "$cache/cargo-deny-target"
	fi
fi
echo "$into/bin/cargo-deny"
