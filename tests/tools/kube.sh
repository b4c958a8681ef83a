#!/usr/bin/env bash
# etcd, kube-apiserver and kube-controller-manager, each from the folder KUBEBUILDER_ASSETS if it is there, else
# built once from its Go module into .cache/kubetools/.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/paths.sh"

into=$cache/kubetools
sources=$root/tests/tools/kubetools
version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' "$sources/go.mod")
assets=${KUBEBUILDER_ASSETS:-}

# The last element of the package is the name that Go gives the binary; etcd's main package is called server.
packages=(
	"etcd:go.etcd.io/etcd/server/v3:server"
	"kube-apiserver:k8s.io/kubernetes/cmd/kube-apiserver:kube-apiserver"
	"kube-controller-manager:k8s.io/kubernetes/cmd/kube-controller-manager:kube-controller-manager"
)
# Only the tests on a real node need these.
[[ -n ${KUBE_NODE:-} ]] && packages+=(
	"kubelet:k8s.io/kubernetes/cmd/kubelet:kubelet"
	"kube-scheduler:k8s.io/kubernetes/cmd/kube-scheduler:kube-scheduler"
	"kube-proxy:k8s.io/kubernetes/cmd/kube-proxy:kube-proxy"
)

# missing: the entries of `packages` that are neither in KUBEBUILDER_ASSETS nor built at this version
missing() {
	local entry name binary
	for entry in "${packages[@]}"; do
		IFS=: read -r name _ binary <<<"$entry"
		[[ -n $assets && -x $assets/$name ]] && continue
		[[ -x $into/$binary && $(cat "$into/$binary.version" 2>/dev/null) == "$version" ]] && continue
		echo "$entry"
	done
}

# progress NAME TOTAL LOG: a line every ten seconds while the go command writes the packages it has compiled
progress() {
	local name=$1 total=$2 log=$3 line compiled=0 downloaded=0 shown=$SECONDS
	# The modules come before the first package, in a call of their own, which does not know how many packages there are.
	while IFS= read -r line; do
		echo "$line" >>"$log"
		if [[ $line == "go: downloading"* ]]; then downloaded=$((downloaded + 1)); else compiled=$((compiled + 1)); fi
		if ((SECONDS - shown >= 10)); then
			shown=$SECONDS
			if [[ $total == '?' ]]; then say "  $name: $downloaded modules downloaded"
			else say "  $name: $compiled packages compiled of at most $total"; fi
		fi
	done
}

build() {
	local name=$1 package=$2 binary=$3 begun=$SECONDS log=$into/$3.log fresh=$into/.$3.$$ total numbers
	numbers=${version#v}
	local minor=${numbers#*.}
	: >"$log"
	cd "$sources"
	say "  $name: fetching its modules"
	total=$(GOFLAGS=-mod=readonly go list -deps "$package" 2> >(progress "$name" '?' "$log") | wc -l) ||
		{ tail -n 20 "$log" >&2; fail "failed to fetch the modules of $name, see above"; }
	# No inlining and no debug data: a third less work, and nobody measures these servers.
	CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -v -p 2 -trimpath -gcflags='all=-l -dwarf=false' \
		-ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$version \
			-X k8s.io/component-base/version.gitMajor=${numbers%%.*} -X k8s.io/component-base/version.gitMinor=${minor%%.*}" \
		-o "$fresh" "$package" 2>&1 | progress "$name" "$total" "$log" ||
		{ tail -n 20 "$log" >&2; fail "failed to build $name, see above"; }
	# A build that is cut short never leaves half a binary under the name that is looked for.
	mv "$fresh" "$into/$binary"
	echo "$version" >"$into/$binary.version"
	rm -f "$log"
	say "  $name: built in $((SECONDS - begun)) s"
}

[[ -z $(missing) ]] && exit 0
need go "build a Kubernetes API server to test against (or set KUBEBUILDER_ASSETS)"
mkdir -p "$into"
lock kubetools
mapfile -t todo < <(missing)
((${#todo[@]})) || exit 0
say "building $(printf '%s\n' "${todo[@]}" | cut -d: -f1 | paste -sd' ') $version from Go modules into .cache/kubetools: about five minutes on two cores, once"
rm -f "$into"/.server.* "$into"/.kube-*
for entry in "${todo[@]}"; do
	IFS=: read -r name package binary <<<"$entry"
	build "$name" "$package" "$binary"
done
