#!/usr/bin/env bash
# What a node needs beyond the other tests: kubelet, kube-scheduler and kube-proxy from their Go modules, and container
# tools, from Debian's packages where they are missing.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/../tools/paths.sh"

packages=(containerd:containerd runc:runc nft:nftables ip:iproute2 openssl:openssl /usr/lib/cni/bridge:containernetworking-plugins)

missing() {
	local entry
	for entry in "${packages[@]}"; do
		command -v "${entry%%:*}" >/dev/null || echo "${entry##*:}"
	done
}

mapfile -t packages_to_install < <(missing)
if ((${#packages_to_install[@]})); then
	. /etc/os-release
	[[ ${ID:-} == debian || ${ID:-} == ubuntu ]] || fail "missing for a node: ${packages_to_install[*]}; install them"
	say "installing ${packages_to_install[*]} from $ID's packages into the system, once"
	# They are started by the test itself, in namespaces of its own; nothing is to run outside of them.
	{ apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		"${packages_to_install[@]}"; } >"$cache/node-packages.log" 2>&1 ||
		{ tail -n 20 "$cache/node-packages.log" >&2; fail "apt-get failed to install ${packages_to_install[*]}"; }
fi
KUBE_NODE=1 "$root/tests/tools/kube.sh"
