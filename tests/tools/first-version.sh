#!/usr/bin/env bash
# The binary of the first version, built once from its commit into target/first-version/. Prints its path.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

# The last commit before the chart, the store and the keyring of the second version.
commit=6f3032f892cf5788e46dc54977597462ab8a5645
into=${CARGO_TARGET_DIR:-$root/target}/first-version
binary=$into/target/debug/claviger

if [[ ! -x $binary ]]; then
	lock first-version
	git -C "$root" cat-file -e "$commit^{commit}" 2>/dev/null ||
		fail "the commit $commit is not in this clone: fetch the whole history (git fetch --unshallow)"
	say "building the first version from its commit into target/first-version: minutes, once"
	rm -rf "$into/source" && mkdir -p "$into/source"
	git -C "$root" archive "$commit" | tar -x -C "$into/source"
	(cd "$into/source" && CARGO_TARGET_DIR=$into/target "${CARGO:-cargo}" build --quiet --locked --bin claviger >&2) ||
		fail "failed to build the first version"
fi
echo "$binary"
