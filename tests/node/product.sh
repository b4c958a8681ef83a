# shellcheck shell=bash disable=SC2154 # what is not assigned here is assigned by node.sh
# Sourced by node.sh: what a platform team and an app team do on a cluster, and what has to come of it.

home=claviger
issuer=https://claviger.$home.svc
version=$(awk -F '"' '/^version = / { print $2; exit }' "$root/Cargo.toml")

images() {
	say "importing the images"
	import "$image"
	# The app is the tests' own program; what it needs to be an app is what is mounted.
	strip -o "$work/testbed" "$root/target/debug/testbed"
	python3 "$root/image/archive.py" "$work/testbed" "$work/testbed.tar" --name docker.io/library/testbed --version 1 >/dev/null
	import "$work/testbed.tar"
}

# restricted NAMESPACE: the API server refuses pods there that are not hardened
restricted() {
	kubectl create namespace "$1" >/dev/null
	kubectl label namespace "$1" pod-security.kubernetes.io/enforce=restricted >/dev/null
}

install() {
	restricted "$home"
	restricted team-a
	certificates claviger-ca claviger "DNS:claviger.$home.svc"
	kubectl -n "$home" create secret generic claviger-tls --type=kubernetes.io/tls --from-file=tls.crt="$work/claviger.crt" \
		--from-file=tls.key="$work/claviger.key" --from-file=ca.crt="$work/claviger-ca.crt" >/dev/null
	kubectl -n team-a create configmap claviger-ca --from-file=ca.crt="$work/claviger-ca.crt" >/dev/null
	# Where no storage class makes volumes, an administrator does.
	command install -d -o 65532 -g 65532 "$work/volume"
	kubectl apply -f - >/dev/null <<-YAML
		apiVersion: v1
		kind: PersistentVolume
		metadata: {name: claviger}
		spec:
		  capacity: {storage: 1Gi}
		  accessModes: [ReadWriteOnce]
		  hostPath: {path: $work/volume}
	YAML
	say "helm install --wait"
	release install
	kubectl -n "$home" wait --for=condition=Ready oidcuser/ada --timeout=30s >/dev/null ||
		fail "the first user did not become ready"
	starts names "$root/tests/node/names.py" "$node" "claviger.$home.svc.cluster.local=$(
		kubectl -n "$home" get service claviger -o 'jsonpath={.spec.clusterIP}'
	)"
}

helm_test() {
	say "helm test"
	helm test claviger --namespace "$home" --timeout 1m >"$work/logs/helm-test.log" 2>&1 || {
		cat "$work/logs/helm-test.log" >&2
		kubectl -n "$home" logs claviger-test >&2
		fail "helm test failed"
	}
	grep -q "Phase:.*Succeeded" "$work/logs/helm-test.log" || fail "helm test ran no test: $(cat "$work/logs/helm-test.log")"
}

# release install|upgrade [FLAGS…]
release() {
	local verb=$1
	shift
	helm "$verb" claviger "$root/charts/claviger" --namespace "$home" --wait --timeout 3m --set issuer="$issuer" \
		--set image.repository=docker.io/library/claviger --set image.tag="$version" --set persistence.storageClass=- \
		--set tls.enabled=true --set tls.secretName=claviger-tls --set firstUser.name=ada \
		--set firstUser.email=ada@example.org "$@" >"$work/logs/helm-$verb.log" 2>&1 || {
		cat "$work/logs/helm-$verb.log" >&2
		kubectl -n "$home" describe pods >&2
		kubectl -n "$home" logs --tail=20 deployment/claviger >&2
		fail "helm $verb failed"
	}
}

# app NAME: a pod of team-a that mounts the Secret of the OidcClient and signs ada in
app() {
	kubectl apply -f - >/dev/null <<-YAML
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, namespace: team-a}
		spec:
		  restartPolicy: Never
		  automountServiceAccountToken: false
		  terminationGracePeriodSeconds: 0
		  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
		  containers:
		    - name: app
		      image: docker.io/library/testbed:1
		      args: [pod-app, --secret=/oidc, --user=/user]
		      env: [{name: SSL_CERT_FILE, value: /ca/ca.crt}]
		      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
		      volumeMounts:
		        - {name: oidc, mountPath: /oidc}
		        - {name: user, mountPath: /user}
		        - {name: ca, mountPath: /ca}
		  volumes:
		    - {name: oidc, secret: {secretName: shop-oidc}}
		    - {name: user, secret: {secretName: ada}}
		    - {name: ca, configMap: {name: claviger-ca}}
	YAML
}

# signed_in APP NUMBER: whether that pod has signed ada in with that many secrets
signed_in() {
	kubectl -n team-a logs "$1" | grep -q "ada signed in to team-a.shop with secret $2\$"
}

# waits_for_sign_in APP NUMBER
waits_for_sign_in() {
	waits_for 90 "a sign-in from the pod $1" signed_in "$1" "$2"
	say "  $(kubectl -n team-a logs "$1" | tail -n 1)"
}

sign_in_from_a_pod() {
	say "an app signs in through the Service"
	kubectl apply -f - >/dev/null <<-YAML
		apiVersion: claviger.dev/v1alpha1
		kind: OidcClient
		metadata: {name: shop, namespace: team-a}
		spec: {redirectUris: [http://127.0.0.1/callback]}
	YAML
	kubectl -n team-a wait --for=condition=Ready oidcclient/shop --timeout=30s >/dev/null || fail "the client did not become ready"
	# The person types what she was told; here the app's pod is the person too.
	kubectl -n team-a create secret generic ada --from-literal=username=ada --from-literal=password="$(
		kubectl -n "$home" get secret ada-password -o 'jsonpath={.data.password}' | base64 -d
	)" >/dev/null
	app first
	waits_for_sign_in first 1
}

rotate() {
	say "a rotated secret reaches the files of the pod"
	kubectl -n team-a annotate oidcclient shop claviger.dev/rotate=once >/dev/null
	waits_for_sign_in first 2
}

upgrade() {
	say "helm upgrade --wait: another pod, the same secrets"
	local before after
	before=$(kubectl -n "$home" get pods -l app.kubernetes.io/name=claviger -o 'jsonpath={.items[*].metadata.name}')
	release upgrade --set podAnnotations.upgraded=yes
	after=$(kubectl -n "$home" get pods -l app.kubernetes.io/name=claviger --field-selector=status.phase=Running \
		-o 'jsonpath={.items[*].metadata.name}')
	[[ $before != "$after" ]] || fail "the upgrade made no new pod"
	app second
	waits_for_sign_in second 1
	signed_in first 3 && fail "the upgrade changed the client's secret"
	return 0
}

uninstall() {
	say "helm uninstall --wait"
	helm uninstall claviger --namespace "$home" --wait --timeout 2m >"$work/logs/helm-uninstall.log" 2>&1 || fail "helm uninstall failed"
	waits_for 60 "the end of the pods" bash -c "! kubectl -n $home get pods -o name | grep ."
	kubectl -n team-a get oidcclient/shop secret/shop-oidc >/dev/null || fail "the uninstall took what it has to leave"
}
