# shellcheck shell=bash disable=SC2154 # what is not assigned here is assigned by node.sh
# Sourced by node.sh inside namespaces of its own: a Kubernetes cluster of one node on the address 10.88.0.1, made of
# etcd, the control plane, containerd, kubelet and kube-proxy. It ends with the namespaces' first process.

node=10.88.0.1
apiserver=https://$node:6443

# waits_for SECONDS WHAT COMMAND…: tries until the command succeeds; the log of what failed is shown otherwise
waits_for() {
	local tries=$(($1 * 5)) what=$2
	shift 2
	until "$@" >"$work/last-try" 2>&1; do
		((tries-- > 0)) || { cat "$work/last-try" >&2; fail "$what did not come; the logs are in $work/logs"; }
		sleep 0.2
	done
}

# starts NAME COMMAND…: in the background, its output in logs/
starts() {
	local name=$1
	shift
	"$@" >"$work/logs/$name.log" 2>&1 &
}

network() {
	ip link set lo up
	# Its other end stands for the rest of the world, and leads nowhere.
	ip link add node0 type veth peer name nowhere
	ip link set nowhere up
	ip addr add "$node/24" dev node0
	ip link set node0 up
	# kube-proxy sends what goes to a Service through the way out, and there has to be one.
	ip route add default dev node0
	echo 1 >/proc/sys/net/ipv4/ip_forward
	# There is no name server but that of the pods; whoever asked one would wait for it.
	printf '%s\n' "127.0.0.1 localhost" "$node claviger-node" >"$work/hosts"
	: >"$work/resolv.conf"
	mount --bind "$work/hosts" /etc/hosts
	mount --bind "$work/resolv.conf" "$(realpath /etc/resolv.conf)"
}

certificates() {
	local authority=$1 name=$2 names=$3
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$authority" \
		-keyout "$work/$authority.key" -out "$work/$authority.crt" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
		-keyout "$work/$name.key" -out "$work/$name.csr" 2>/dev/null
	openssl x509 -req -in "$work/$name.csr" -CA "$work/$authority.crt" -CAkey "$work/$authority.key" -days 2 \
		-CAcreateserial -extfile <(echo "subjectAltName=$names") -out "$work/$name.crt" 2>/dev/null
}

control_plane() {
	openssl genrsa -out "$work/accounts.key" 2048 2>/dev/null
	local token
	token=$(openssl rand -hex 16)
	echo "$token,admin,admin,system:masters" >"$work/tokens.csv"
	kubectl config set-cluster node --server="$apiserver" --certificate-authority="$work/kubernetes.crt" >/dev/null
	kubectl config set-credentials admin --token="$token" >/dev/null
	kubectl config set-context node --cluster=node --user=admin >/dev/null
	kubectl config use-context node >/dev/null
	starts etcd "$bin/server" --data-dir="$work/etcd" --unsafe-no-fsync --log-level=warn
	starts kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address="$node" \
		--advertise-address="$node" --secure-port=6443 --cert-dir="$work/apiserver" \
		--tls-cert-file="$work/apiserver.crt" --tls-private-key-file="$work/apiserver.key" \
		--token-auth-file="$work/tokens.csv" --anonymous-auth=false --authorization-mode=RBAC \
		--service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$work/accounts.key" \
		--service-account-signing-key-file="$work/accounts.key" --service-cluster-ip-range=10.96.0.0/16 \
		--kubelet-preferred-address-types=InternalIP
	waits_for 60 "the API server" kubectl get --raw /readyz
	starts kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$KUBECONFIG" --leader-elect=false \
		--secure-port=0 --service-account-private-key-file="$work/accounts.key" --root-ca-file="$work/kubernetes.crt"
	starts kube-scheduler "$bin/kube-scheduler" --kubeconfig="$KUBECONFIG" --leader-elect=false --secure-port=0
}

runtime() {
	mkdir -p "$work/cni"
	cat >"$work/cni/10-bridge.conflist" <<-'CNI'
		{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true,
		 "hairpinMode": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]],
		 "routes": [{"dst": "0.0.0.0/0"}]}}]}
	CNI
	cat >"$work/containerd.toml" <<-TOML
		version = 2
		root = "$work/containerd"
		state = "/run/containerd"
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "docker.io/library/pause:1"
		restrict_oom_score_adj = true
		disable_apparmor = true
		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "/usr/lib/cni"
		conf_dir = "$work/cni"
		[plugins."io.containerd.grpc.v1.cri".containerd]
		snapshotter = "overlayfs"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		runtime_type = "io.containerd.runc.v2"
	TOML
	starts containerd containerd --config "$work/containerd.toml"
	waits_for 30 containerd ctr version
	# The first process of each pod: it holds the pod's namespaces and does nothing.
	echo 'int pause(void); int main(void) { for (;;) pause(); }' | cc -static -O1 -xc -o "$work/pause" -
	python3 "$root/image/archive.py" "$work/pause" "$work/pause.tar" --name docker.io/library/pause --version 1 >/dev/null
	import "$work/pause.tar"
}

# import ARCHIVE: an image for the pods of this node; nothing is pulled
import() {
	ctr --namespace k8s.io images import "$1" >>"$work/logs/images.log" 2>&1 ||
		{ tail -n 5 "$work/logs/images.log" >&2; fail "containerd does not take the image $1"; }
}

# The kubelet wants its own root in every hierarchy, and makes the rest below it.
cgroups() {
	local controller
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
		mkdir -p "/sys/fs/cgroup/$cgroup"
		return
	fi
	for controller in /sys/fs/cgroup/*/; do
		mkdir -p "$controller/$cgroup" 2>/dev/null || continue
		[[ -e $controller/$cgroup/cpuset.cpus ]] || continue
		cat "$controller/cpuset.cpus" >"$controller/$cgroup/cpuset.cpus"
		cat "$controller/cpuset.mems" >"$controller/$cgroup/cpuset.mems"
	done
}

kubelet() {
	cgroups
	mkdir -p "$work/kubelet" "$work/pods"
	cat >"$work/kubelet.yaml" <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
		authorization: {mode: AlwaysAllow}
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		cgroupDriver: cgroupfs
		cgroupRoot: /$cgroup
		failCgroupV1: false
		failSwapOn: false
		enforceNodeAllocatable: []
		featureGates: {KubeletInUserNamespace: true}
		podLogsDir: $work/pods
		# How long a changed Secret takes to reach the files of a pod, at most.
		syncFrequency: 2s
		evictionHard: {nodefs.available: "1%"}
		imageGCHighThresholdPercent: 100
		imageMinimumGCAge: 24h
		resolvConf: $work/resolv.conf
		clusterDNS: [$node]
		clusterDomain: cluster.local
	YAML
	starts kubelet "$bin/kubelet" --config="$work/kubelet.yaml" --kubeconfig="$KUBECONFIG" --root-dir="$work/kubelet" \
		--cert-dir="$work/kubelet" --hostname-override=claviger-node --node-ip="$node"
	cat >"$work/kube-proxy.yaml" <<-YAML
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: nftables
		clusterCIDR: 10.244.0.0/16
		clientConnection: {kubeconfig: $KUBECONFIG}
		conntrack: {maxPerCore: 0, min: 0, tcpCloseWaitTimeout: 0s, tcpEstablishedTimeout: 0s}
		hostnameOverride: claviger-node
	YAML
	starts kube-proxy "$bin/kube-proxy" --config="$work/kube-proxy.yaml"
	waits_for 60 "the node" kubectl wait --for=condition=Ready node/claviger-node --timeout=1s
}
