#!/usr/bin/env bash
# A real node on this machine: see README.md beside this file. As root, in network, mount and process namespaces of its own.
# shellcheck source=tests/tools/paths.sh
. "$(dirname "$0")/../tools/paths.sh"

if [[ ${1:-} != inside ]]; then
	[[ $(id -u) == 0 ]] || fail "a node needs root: run this as root, or leave it to a machine where it can"
	work=$(mktemp -d /tmp/claviger-node-XXXXXX)
	export work cgroup=${work##*/}
	code=0
	# The first process of the namespaces is this script again; when it ends, the kernel ends everything that it started.
	unshare --net --mount --pid --fork --kill-child=KILL --mount-proc --propagation private "$0" inside || code=$?
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
kubectl get nodes -o wide
