#!/usr/bin/env bash
# mdbook: the one on the PATH, else compiled once into .cache/mdbook/. Prints its path.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

version=0.5.4
into=$cache/mdbook

if command -v mdbook >/dev/null; then
	command -v mdbook
	exit 0
fi
if [[ ! -x $into/bin/mdbook ]]; then
	lock mdbook
	if [[ ! -x $into/bin/mdbook ]]; then
		say "compiling mdbook $version from its crate into .cache/mdbook: several minutes, once"
		cargo install --quiet --locked --root "$into" --target-dir "$cache/mdbook-target" "mdbook@$version" >&2 ||
			fail "failed to compile mdbook"
		rm -rf "$cache/mdbook-target"
	fi
fi
echo "$into/bin/mdbook"
