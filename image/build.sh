#!/usr/bin/env bash
# image/build.sh [ARCHIVE [ROOT]]: the release binary, built so that neither folders nor times of this machine are in
# it, and the image archive around it; with ROOT also that folder, as the image's root file system. The same sources,
# toolchain and system libraries give the same bytes, wherever the clone lies.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/../tests/tools/paths.sh"

need python3 "write the image archive"
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}/image
archive=${1:-$target/claviger.tar}
version=$(awk -F '"' '/^version = / { print $2; exit }' Cargo.toml)
home=${CARGO_HOME:-$HOME/.cargo}

# Of its own folder: these flags would make cargo build everything else again.
export CARGO_TARGET_DIR=$target
export CARGO_PROFILE_RELEASE_STRIP=symbols
# A developer may have it on for all builds; it divides a crate in another way.
export CARGO_INCREMENTAL=0
export SOURCE_DATE_EPOCH=0
# Panics and C assertions quote source files by path.
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' --remap-path-prefix="$root=/claviger" --remap-path-prefix="$home=/cargo")
export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$root=/claviger -ffile-prefix-map=$home=/cargo"

say "building the release binary (about five minutes on two cores, the first time)"
"${CARGO:-cargo}" build --release --locked --quiet --package claviger --bin claviger
python3 image/archive.py "$target/release/claviger" "$archive" --version "$version" ${2:+--root "$2"}
