# shellcheck shell=bash
# Sourced by the scripts that need a program which Debian and Ubuntu have in a package: it is downloaded and not installed.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

works() { "$1" --version >/dev/null 2>&1; }

# program VARIABLE PROGRAM PACKAGE: prints the path of PROGRAM, which is VARIABLE's value if set, else one on the PATH, else out
# of PACKAGE, unpacked in the cache under the name of the script that asks.
program() {
	local variable=$1 program=$2 package=$3 name unpacked
	if [[ -n ${!variable:-} ]]; then
		works "${!variable}" || fail "$variable=${!variable} does not start"
		echo "${!variable}"
		return
	fi
	if command -v "$program" >/dev/null && works "$program"; then
		command -v "$program"
		return
	fi
	name=$(basename "$0" .sh)
	unpacked=$cache/$name/usr/bin/$program
	if ! works "$unpacked"; then
		command -v apt-get >/dev/null ||
			fail "no $program found: install the package $package, or set $variable to the path of one"
		lock "$name"
		works "$unpacked" || unpack "$name" "$program" "$package"
		works "$unpacked" || fail "$program was unpacked but does not start: install the package $package, or set $variable"
	fi
	echo "$unpacked"
}

# unpack NAME PROGRAM PACKAGE: into the cache, under NAME.
unpack() {
	local name=$1 program=$2 package=$3 log=$cache/$1.log
	say "downloading the package $package for its $program: a few seconds, once"
	folder=$(mktemp -d "$cache/$name.XXXXXX")
	trap 'rm -rf "$folder"' EXIT
	download() { (cd "$folder" && apt-get download -qq "$package") >"$log" 2>&1; }
	update() { [[ $(id -u) == 0 ]] && apt-get update -qq >"$log" 2>&1; }
	download || { update && download; } || {
		tail -n 5 "$log" >&2
		fail "apt-get failed to download $package: run 'apt-get update', or install it"
	}
	dpkg-deb --extract "$folder/$package"_*.deb "$folder/root"
	rm -rf "${cache:?}/$name"
	mv "$folder/root" "$cache/$name"
}
