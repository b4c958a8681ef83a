#!/usr/bin/env bash
# tests/node/node.sh IMAGE-ARCHIVE: claviger in a real pod. A cluster of one node (etcd, the control plane, containerd,
# kubelet, kube-proxy) in network, mount and process namespaces of its own; the image, the chart with TLS of its own and a
# first user; helm test; an app's pod that mounts the Secret and signs in through the Service; a rotation that reaches the
# pod's files; an upgrade; an uninstall. Needs root. Nothing is pulled from a registry, nothing reaches the outside.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/../tools/paths.sh"

image=${1:-}
if [[ ${2:-} != inside ]]; then
	[[ -f $image ]] || fail "usage: tests/node/node.sh IMAGE-ARCHIVE; 'make image' writes one"
	if [[ $(id -u) != 0 ]]; then
		[[ ${CI:-} != true ]] || fail "a node needs root"
		say "SKIPPED the test on a real node: it needs root"
		exit 0
	fi
	work=$(mktemp -d /tmp/claviger-node-XXXXXX)
	export work cgroup=${work##*/}
	code=0
	"$root/tests/node/needs.sh"
	# The first process of the namespaces is this script again; when it ends, the kernel ends everything that it started.
	unshare --net --mount --pid --fork --kill-child=KILL --mount-proc --propagation private "$0" "$(realpath "$image")" inside || code=$?
	# What is left are empty cgroups and, where a check failed, the logs.
	for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
		[[ -d $controller/$cgroup ]] && find "$controller/$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
	done
	((code)) || rm -rf "$work"
	exit "$code"
fi

# shellcheck source=tests/node/cluster.sh
. "$root/tests/node/cluster.sh"
bin=$cache/kubetools
PATH=$cache/helm3:$PATH
export KUBECONFIG=$work/kubeconfig
mkdir -p "$work/logs"
mount -t tmpfs tmpfs /run
cd "$work"

say "starting a cluster of one node in namespaces of its own"
network
certificates kubernetes apiserver "IP:$node,IP:10.96.0.1,DNS:kubernetes.default.svc"
control_plane
runtime
kubelet

# shellcheck source=tests/node/product.sh
. "$root/tests/node/product.sh"
images
install
helm_test
sign_in_from_a_pod
rotate
upgrade
uninstall
say "every check held"
