#!/usr/bin/env bash
# packages.sh NAME: what the app of docs/src/apps/NAME.md or a peer of the benchmark needs, from its registry into
# .cache/packages/NAME/, by the list in tests/relying_parties/packages/NAME/ or tests/bench/packages/NAME/: npm
# (package-lock.json), PyPI (requirements.txt), Maven (pom.xml), Debian's packages, unpacked and not installed (debian.txt), and
# crates (Cargo.lock), into cargo's own cache. Prints the folder.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

name=$1
list=$root/tests/relying_parties/packages/$name
[[ -d $list ]] || list=$root/tests/bench/packages/$name
into=$(realpath "$cache")/packages/$name
log=$cache/packages-$name.log

[[ -d $list ]] || fail "there is no list of packages for $name in tests/relying_parties/packages/ and tests/bench/packages/"
# A virtual environment knows where it is: one that was moved, or lies where it did not, is made again.
installed() { diff -rq "$list" "$into/.list" >/dev/null 2>&1 && [[ $(<"$into/.place") == "$into" ]]; }
finish() {
	echo "$into"
	exit 0
}
# run WHAT COMMAND…: speaks only when the command fails.
run() {
	local what=$1
	shift
	"$@" >"$log" 2>&1 || { tail -n 15 "$log" >&2; fail "failed to $what"; }
}
# block FILE: a block of code of the app's page, as tests/relying_parties/page.rs finds it.
block() { sed -n "/\`$1\`:\$/,/^\`\`\`\$/p" "$root/docs/src/apps/$name.md" | sed '1,/^```/d; $d'; }
download_debian() {
	local options=(-o "Dir::Cache=$into/apt" -o Debug::NoLocking=1 -o APT::Sandbox::User=root)
	mkdir -p "$into/apt/archives/partial"
	# shellcheck disable=SC2046 # a package a word
	apt-get "${options[@]}" install -y --no-install-recommends --download-only $(<"$list/debian.txt")
}

installed && finish
lock "packages-$name"
installed && finish
say "installing what $name needs into .cache/packages/$name: up to a minute, once"
rm -rf "$into"
mkdir -p "$into"
if [[ -f $list/package-lock.json ]]; then
	need npm "install $name"
	cp "$list"/{package.json,package-lock.json} "$root/tests/browser/.npmrc" "$into"
	run "install $name from npm" env --chdir="$into" npm ci --no-progress
fi
if [[ -f $list/requirements.txt ]]; then
	need python3 "install $name"
	run "make a virtual environment" python3 -m venv "$into/venv"
	run "install $name from PyPI" "$into/venv/bin/pip" install --quiet --disable-pip-version-check \
		--only-binary :all: --requirement "$list/requirements.txt"
	ln -s venv/bin "$into/bin"
fi
if [[ -f $list/pom.xml ]]; then
	need mvn "install $name"
	run "install $name from Maven" mvn --batch-mode --quiet --file "$list/pom.xml" dependency:copy-dependencies \
		"-DoutputDirectory=$into/lib"
	for archive in "$into"/lib/*.zip; do
		[[ -f $archive ]] || continue
		run "unpack $name" env --chdir="$into" jar --extract --file "$archive"
		rm "$archive"
	done
fi
if [[ -f $list/Cargo.lock ]]; then
	need cargo "fetch the crates of $name"
	# Somewhere else than in this workspace, of which the app is no member.
	crate=$(mktemp -d)
	mkdir "$crate/src" "$into/target"
	touch "$crate/src/main.rs"
	block Cargo.toml >"$crate/Cargo.toml"
	cp "$list/Cargo.lock" "$crate"
	run "fetch the crates of $name" cargo fetch --locked --manifest-path "$crate/Cargo.toml"
	rm -rf "$crate"
	cp "$list/Cargo.lock" "$into"
fi
if [[ -f $list/debian.txt ]]; then
	need apt-get "install $name"
	if ! download_debian >"$log" 2>&1; then
		# The lists of packages may be missing or old.
		[[ $(id -u) != 0 ]] || run "update the lists of Debian's packages" apt-get update -qq
		run "download $name" download_debian
	fi
	for package in "$into"/apt/archives/*.deb; do run "unpack $name" dpkg-deb --extract "$package" "$into/root"; done
	rm -rf "$into/apt"
fi
rm -f "$log"
echo "$into" >"$into/.place"
cp -r "$list" "$into/.list"
finish
