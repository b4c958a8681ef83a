#!/usr/bin/env bash
# The custom resource definitions of other projects that the chart can make resources of, from their Go modules into
# .cache/crds/: HTTPRoute of the Gateway API, Certificate of cert-manager. Prints the folder.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

into=$cache/crds
# Module, version, what go must find its sum to be, and the file.
definitions=(
	"sigs.k8s.io/gateway-api v1.4.0 h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ= config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
	"github.com/cert-manager/cert-manager v1.19.0 h1:pPKtK06zPriliwq7B12xa7DGKbc4SvnfOjE0BXaAspk= deploy/crds/cert-manager.io_certificates.yaml"
)

installed() { [[ $(cat "$into/definitions" 2>/dev/null) == "${definitions[*]}" ]]; }
finish() {
	echo "$into"
	exit 0
}
installed && finish
need go "fetch custom resource definitions of other projects"
lock crds
installed && finish
say "fetching the definitions of HTTPRoute and Certificate into .cache/crds/: a few seconds, once"
fresh=$(mktemp -d "$cache/.crds.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
field() { sed -n "s/^\t\"$1\": \"\(.*\)\",\{0,1\}$/\1/p"; }
for definition in "${definitions[@]}"; do
	read -r module version sum file <<<"$definition"
	found=$(cd "$fresh" && go mod download -json "$module@$version") || fail "failed to fetch $module"
	[[ $(field Sum <<<"$found") == "$sum" ]] || fail "$module $version is not what it was: $(field Sum <<<"$found")"
	install -m 644 "$(field Dir <<<"$found")/$file" "$fresh/$(basename "$file")"
done
echo "${definitions[*]}" >"$fresh/definitions"
chmod 755 "$fresh"
rm -rf "$into"
mv "$fresh" "$into"
finish
