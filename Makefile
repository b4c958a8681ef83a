# One verb a line; `make` alone explains them. Everything a target needs it gets by itself, into .cache/ and target/.
CARGO ?= cargo
ARGS ?=
TOOLS := tests/tools
# Programs are run from here and not by `cargo run`: for one package alone cargo would build most dependencies again,
# with other features.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help run test test-full test-node test-upgrade image docs lint fmt crds chart bench bench-peers deny tools browser-tools

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: tools ## claviger on a Kubernetes API server of its own, with a sample app to sign in to (ARGS=--once: check and end); CLUSTER=current: on that of the current kubectl context, which asks unless YES=<context>
	@$(CARGO) build --workspace --bins
	@$(TARGET)/debug/testbed run $(if $(CLUSTER),--cluster='$(CLUSTER)') $(if $(YES),--yes='$(YES)') $(ARGS)

test: tools browser-tools ## every test, against a real API server and a real Chromium
	$(CARGO) test --workspace
	$(CARGO) test --workspace --features claviger/fail-points,claviger/otlp --test crashes --test traces

# Tests whose count can be larger read TEST_FULL: it is set to 1 here, and they print which count they ran.
test-full: export TEST_FULL = 1
# Every log of every test is looked at for secrets; here it tells all that there is to tell.
test-full: export TEST_LOG = trace
test-full: test test-node test-upgrade lint ## the tests at their full counts (hours), a real node, and everything that lint looks at

test-upgrade: tools ## from the first version, built from its commit, to this one while people are signed in
	FIRST_VERSION=$$($(TOOLS)/first-version.sh) $(CARGO) test --workspace --test upgrade -- --ignored --nocapture

test-node: tools ## claviger in a real pod: the image, the chart and an app on a cluster of one node (needs root)
	@image/build.sh
	@$(CARGO) build --workspace --bins
	@tests/node/node.sh $(TARGET)/image/claviger.tar

image: ## the container image as an OCI archive, target/image/claviger.tar, without a container engine
	@image/build.sh

lint: deny ## formatting, clippy, links between items, shell scripts, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features claviger/fail-points,claviger/otlp --quiet -- --deny warnings
	RUSTDOCFLAGS='--deny warnings --allow rustdoc::private_intra_doc_links' \
	$(CARGO) doc --workspace --no-deps --document-private-items --quiet
	@if command -v shellcheck >/dev/null; then shellcheck --external-sources $(TOOLS)/*.sh image/*.sh tests/node/*.sh; \
	else echo "shellcheck is not installed: the shell scripts were not looked at"; fi

fmt: ## format the Rust sources
	$(CARGO) fmt --all

crds: ## write crds/ and the chart's copies from the Rust types
	UPDATE_CRDS=1 $(CARGO) test --workspace --quiet --test crds

docs: ## write the reference pages of docs/ from the code, and the book into target/book
	UPDATE_DOCS=1 $(CARGO) test --workspace --quiet --test docs -- reference values
	@"$$($(TOOLS)/mdbook.sh)" build docs

chart: tools ## lint the chart and render it with its defaults
	@$(CARGO) build --workspace --bins
	@$(TARGET)/debug/testbed chart

bench: ## start-up time, memory and refreshes per CPU-second of the release build, and 1,000 clients beside a minimal operator
	$(CARGO) bench --workspace --bench bench

bench-peers: ## claviger beside oidc-provider and Keycloak on this machine, a quarter of an hour (fewer rounds: BENCH_ROUNDS=1)
	$(CARGO) bench --workspace --bench bench -- peers

deny: ## licences, sources and banned crates of all dependencies
	"$$($(TOOLS)/cargo-deny.sh)" --workspace check bans licenses sources

tools:
	@$(TOOLS)/kube.sh
	@$(TOOLS)/helm.sh 3 >/dev/null
	@$(TOOLS)/helm.sh 4 >/dev/null
	@$(TOOLS)/crds.sh >/dev/null
	@# Where it cannot be had, the tests of the alert rules say so and are skipped; with CI=true that fails.
	@$(TOOLS)/promtool.sh >/dev/null || [ "$$CI" != true ]
	@# Likewise the tests of the container.
	@$(TOOLS)/bubblewrap.sh >/dev/null || [ "$$CI" != true ]

browser-tools:
	@# Where these cannot be installed, the browser tests say so and are skipped; with CI=true that fails.
	@$(TOOLS)/chromium.sh >/dev/null || [ "$$CI" != true ]
	@$(TOOLS)/node.sh || [ "$$CI" != true ]
