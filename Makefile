# `make help` lists what there is. Every tool comes from a go.mod of this repository, so a clone and Go are all that is needed.

SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help

# What you want of every run, such as OVERLAY = config/overlays/ignore-annotations. It isn't in the repository.
-include deploy.mk

# The image that deploy, docker-build and build-installer use. LOCAL_IMG is the one `make image` builds without Docker.
LOCAL_IMG := localhost/drain-operator:dev
IMG ?= $(LOCAL_IMG)
# What deploy installs; any folder under config/ with a kustomization that includes the manager.
OVERLAY ?= config/default
# Not empty: deploy may make the operator follow annotations of StatefulSets that it hasn't followed so far (docs/migrating.md).
FOLLOW_ANNOTATIONS ?=
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PLATFORMS ?= linux/amd64,linux/arm64
CONTAINER_TOOL ?= docker
# The images of the recipes. What an image is made of is in its recipe's folder, config/samples/<recipe>/image: a program of ours, or the
# names of Debian's packages in a Dockerfile.
SAMPLE_IMAGES := datastore kubia spool
DEBIAN_IMAGES := zookeeper redis busybox rabbitmq
# The programs that a go.mod in that folder, or in a folder of it, pins by its tool lines. make test-recipes builds these images.
MODULE_IMAGES := vmagent etcd nats prometheus-thanos opentelemetry-collector
# The recipe of an image, where it has another name.
RECIPE_redis := redis-cluster-primaries
RECIPE_busybox := notes
image_folder = config/samples/$(or $(RECIPE_$1),$1)/image
# Nodes of the local cluster.
NODES ?= 2
# The minor release of Kubernetes that tests and the local cluster run, such as 1.36, and feature gates of the cluster's control plane. Empty:
# the newest, or what the local cluster runs already.
KUBERNETES ?=
FEATURE_GATES ?=
# Where coverage of the whole test run is written.
COVER ?= cover.out
# Which end-to-end tests run, as a label filter of Ginkgo's.
LABELS ?= !faults && !upgrade && !slow
# The processes that share the end-to-end specs, the time that these may take, and further flags of Ginkgo. What a spec is about can be seen
# while it runs only with one process.
E2E_PROCS ?= 2
E2E_TIMEOUT ?= 50m
E2E_FLAGS ?=
# Extra flags for `go test`, e.g. GOTESTFLAGS='-run TestPlan -count=1'; `make test` runs the operator's unit tests only, then.
GOTESTFLAGS ?=

GO := go
TOOL := $(GO) tool -modfile=$(CURDIR)/hack/tools/go.mod
CONTROLLER_GEN := $(TOOL) controller-gen
KUSTOMIZE := $(TOOL) kustomize
# helm and helm-unittest come from their modules; they take minutes to build, once. HELM=helm takes the one on PATH.
CHART := charts/drain-operator
HELM ?= $(CURDIR)/bin/helm
HELM_UNITTEST := $(CURDIR)/bin/helm-unittest
BUILT_HELM := $(filter $(CURDIR)/bin/helm,$(HELM))
GOLANGCI_LINT := $(CURDIR)/bin/golangci-lint
CLUSTER := $(GO) run -C test/infrastructure ./cluster
IMAGE_BUILDER := $(GO) run -C test/infrastructure ./image
# kubectl for the cluster in question; hack/kubectl.sh says which that is. KUBECTL=kubectl takes the one on PATH.
KUBECTL ?= hack/kubectl.sh

# The modules of this repository that hold code of ours. Those under test/infrastructure/cluster/binaries/ only pin what the local cluster
# builds, config/samples/spool/image/rclone and the modules of MODULE_IMAGES what an image has, and hack/release/syft what scans a release; every
# such build checks them (-mod=readonly), and tidying them would download all test dependencies of Kubernetes, rclone and so on.
MODULES := . cmd/kubectl-drainpolicy hack/tools hack/tools/alertmanager hack/tools/dashboard hack/tools/golangci-lint hack/tools/helm hack/release test/infrastructure test/bench test/health
# Linting the linter's own main would type-check golangci-lint and everything it imports, for minutes.
LINTED_MODULES := . cmd/kubectl-drainpolicy hack/tools hack/tools/dashboard hack/release test/infrastructure test/bench test/health

# What every program says about itself. No other place sets it: the Dockerfile and hack/release/release.sh take it from here. Go could read
# the commit itself (-buildvcs), but not in an image build, which has no .git, and its version would depend on which tags a clone has.
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
VERSION_FLAGS = -X main.version=$(VERSION) -X main.commit=$(COMMIT)
GO_BUILD = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false

# Programs for images: static, reproducible, for Linux whatever this machine runs.
LINUX_BUILD = GOOS=linux $(GO_BUILD) -ldflags '-s -w $(VERSION_FLAGS)'

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*## "; printf "Usage: make \033[36m<target>\033[0m [VARIABLE=value]\n"} \
		/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-zA-Z_0-9-]+:.*## / {printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: ## Start a local cluster and show a StatefulSet shrink, its data move and its claim go.
	hack/demo/demo.sh

##@ Development

.PHONY: generate
generate: ## Generate DeepCopy methods, the tables of the docs that come from the code, and the dashboard.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths="./api/..."
	$(GO) test ./test/docs -run TestTheDocsHaveTheProtocolAsItIs -count=1 -update
	$(TOOL) crd-ref-docs --log-level=ERROR --source-path=api --config=hack/crd-ref-docs.yaml --renderer=markdown --output-path=docs/api.md
	$(GO) test ./cmd/manager -run TestTheDocsHaveTheFlags -count=1 -update
	$(GO) test -C cmd/kubectl-drainpolicy -run TestTheDocsHaveTheCommands -count=1 . -update
	$(GO) run -C hack/tools/dashboard . $(CURDIR)/config/grafana/dashboard.json

.PHONY: manifests
manifests: ## Generate the CRD and the manager's role from the Go types and markers.
	@mkdir -p dist/crd
	$(CONTROLLER_GEN) rbac:roleName=manager-role crd:generateEmbeddedObjectMeta=true \
		paths="./api/...;./internal/..." \
		output:crd:artifacts:config=dist/crd output:rbac:artifacts:config=config/rbac
	# A second pod template makes it large: what its fields mean is said below spec.template.
	$(GO) run -C hack/tools ./crdtrim -limit 500000 $(CURDIR)/dist/crd/drain.statefulset.dev_drainpolicies.yaml
	$(GO) run -C hack/tools ./crdtrim -path spec.leave.template -levels 0 $(CURDIR)/dist/crd/drain.statefulset.dev_drainpolicies.yaml
	$(GO) run -C hack/tools ./crdtrim -path jobName $(CURDIR)/dist/crd/drain.statefulset.dev_drainrecords.yaml # Nothing to drop in it.
	mkdir -p config/crd/bases && cp dist/crd/*.yaml config/crd/bases/

.PHONY: chart
chart: ## Generate the templates of the Helm chart that repeat what kustomize builds.
	hack/chart.sh

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go code of every module, and add the license header where it is missing.
	@hack/headers.sh
	@for m in $(MODULES); do echo "golangci-lint fmt ($$m)"; (cd $$m && $(GOLANGCI_LINT) fmt -c $(CURDIR)/.golangci.yml); done

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Lint the Go code of every module; the API types by the Kubernetes API linter too.
	@failed=0; for m in $(LINTED_MODULES); do \
		echo "golangci-lint run ($$m)"; (cd $$m && $(GOLANGCI_LINT) run -c $(CURDIR)/.golangci.yml ./...) || failed=1; \
	done; exit $$failed

.PHONY: lint-fix
lint-fix: fmt ## Lint and fix what the linters can fix.
	@for m in $(LINTED_MODULES); do (cd $$m && $(GOLANGCI_LINT) run -c $(CURDIR)/.golangci.yml --fix ./...); done

.PHONY: tidy
tidy: ## Tidy the go.mod of every module.
	@for m in $(MODULES); do echo "go mod tidy ($$m)"; $(GO) mod tidy -C $$m; done

.PHONY: verify
verify: $(GOLANGCI_LINT) $(BUILT_HELM) $(HELM_UNITTEST) ## Check that generated code, manifests, format, lint and go.mod files are as they should be, and leave no diff.
	HELM='$(HELM)' HELM_UNITTEST='$(HELM_UNITTEST)' hack/verify.sh

# VULNCHECK_REQUIRED=1 fails where the database can't be reached, as CI does.
.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in the code that the programs of this repository call.
	hack/vulncheck.sh $(MODULES)

.PHONY: workflows
workflows: ## Check the workflows of GitHub, and with shellcheck the commands in them.
	$(TOOL) actionlint

##@ Test

.PHONY: test
test: ## Run the unit and envtest suites. FOCUS=<regular expression> runs some specs of the integration suite only.
	KUBERNETES='$(KUBERNETES)' COVER='$(COVER)' GOTESTFLAGS='$(GOTESTFLAGS)' FOCUS='$(FOCUS)' hack/test.sh

# Without the race detector: a history's steps come one at a time, and it is several times faster so.
.PHONY: sim
sim: ## Simulate SEEDS histories with faults, always the same ones, and FRESH others.
	$(GO) test ./test/simulation -run TestPromisesHold -count=1 -v -timeout 0 -sim.seeds=$(or $(SEEDS),10000) -sim.fresh=$(or $(FRESH),200)

.PHONY: mutants
mutants: ## Take the operator's guards away one by one, and write into docs/simulation.md how soon the simulation misses each.
	$(GO) run ./test/simulation/mutate -write docs/simulation.md

.PHONY: test-chart
test-chart: $(BUILT_HELM) $(HELM_UNITTEST) ## Lint the Helm chart, run its unit tests, and compare it with kustomize's output.
	$(HELM) lint --strict $(CHART)
	$(HELM_UNITTEST) $(CHART)
	$(GO) test ./test/chart -count=1

# The images that the end-to-end tests of CI need. Recipes with larger ones are slow: `make test-recipes` runs them.
E2E_IMAGES ?= drain-operator $(SAMPLE_IMAGES) $(filter busybox,$(DEBIAN_IMAGES))
BUILD_E2E_IMAGES = $(patsubst %,sample-image-%,$(filter $(SAMPLE_IMAGES),$(E2E_IMAGES))) \
	$(patsubst %,debian-image-%,$(filter $(DEBIAN_IMAGES),$(E2E_IMAGES))) $(patsubst %,module-image-%,$(filter $(MODULE_IMAGES),$(E2E_IMAGES)))

.PHONY: test-e2e
test-e2e: $(BUILT_HELM) cluster-up plugin image $(BUILD_E2E_IMAGES) ## Run the end-to-end suite on the local cluster, and leave the cluster up. FOCUS=<regular expression> runs some of it.
	$(MAKE) cluster-load IMAGE='$(E2E_IMAGES:%=$(CURDIR)/dist/images/%.tar)'
	KUBECONFIG=$(CURDIR)/.cluster/kubeconfig $(MAKE) apply IMG=$(LOCAL_IMG)
	KUBECONFIG=$(CURDIR)/.cluster/kubeconfig PATH="$$($(CLUSTER) binaries kubectl):$$PATH" HELM='$(HELM)' \
		$(GO) tool ginkgo run --tags=e2e --procs=$(E2E_PROCS) --timeout=$(E2E_TIMEOUT) --label-filter='$(LABELS)' $(if $(FOCUS),--focus='$(FOCUS)') \
		$(E2E_FLAGS) ./test/e2e

# Another cluster is taken down first, and this one at the end.
.PHONY: test-version
test-version: ## Run the integration suite, and drains on the local cluster, with one minor release of Kubernetes: KUBERNETES, else the oldest.
	FEATURE_GATES='$(FEATURE_GATES)' hack/test-version.sh $(KUBERNETES)

.PHONY: test-versions
test-versions: ## The same with every minor release of Kubernetes that is supported, and with what is alpha in one of them.
	hack/test-version.sh all

# FOCUS=<regular expression> runs some of them, with the images that they need: make test-recipes FOCUS=vmagent E2E_IMAGES='drain-operator vmagent'.
.PHONY: test-recipes
test-recipes: E2E_IMAGES += $(filter-out busybox,$(DEBIAN_IMAGES)) $(MODULE_IMAGES)
test-recipes: ## Run every recipe on the local cluster, also those that take too long for CI.
	$(MAKE) test-e2e LABELS='recipes && !faults' E2E_IMAGES='$(E2E_IMAGES)' E2E_TIMEOUT=90m E2E_PROCS=1 E2E_FLAGS='$(E2E_FLAGS) -v'

# FOCUS=<regular expression> runs some of them.
.PHONY: test-faults
test-faults: export FAULTS_SOAK ?= 5m
test-faults: E2E_IMAGES += zookeeper
test-faults: ## Break nodes, managers, the control plane and objects of the local cluster during drains; FAULTS_SOAK is the time of the soak.
	$(MAKE) test-e2e LABELS=faults E2E_IMAGES='$(E2E_IMAGES)' E2E_TIMEOUT=90m E2E_PROCS=1 E2E_FLAGS='$(E2E_FLAGS) -v'

.PHONY: test-overlays
test-overlays: ## Install every overlay and the Helm chart on the local cluster, and drain under each.
	$(MAKE) test-e2e LABELS=overlays E2E_IMAGES='drain-operator datastore' E2E_PROCS=1 E2E_FLAGS='$(E2E_FLAGS) -v'

# RECORD_SERIES=<file> also writes the series of the run.
.PHONY: test-monitoring
test-monitoring: export RECORD_SERIES ?=
test-monitoring: ## Let a real Prometheus scrape the operator on the local cluster, evaluate the alerts, and run the queries of the dashboard.
	$(MAKE) test-e2e LABELS=monitoring E2E_IMAGES='drain-operator datastore' E2E_PROCS=1 E2E_FLAGS='$(E2E_FLAGS) -v'

.PHONY: record-series
record-series: ## Record the series of a real run for the tests of the alerts.
	$(MAKE) test-monitoring RECORD_SERIES=test/monitoring/testdata/recorded.yaml

# Both need the datastore's image only.
E2E_DATASTORE := SAMPLE_IMAGES=datastore DEBIAN_IMAGES=

.PHONY: test-removal
test-removal: ## Remove the operator during drains in every order, and free what is left, on the local cluster.
	$(MAKE) test-e2e LABELS=removal $(E2E_DATASTORE) E2E_PROCS=1 E2E_FLAGS='$(E2E_FLAGS) -v'

# RECORD=<folder> also writes what the old version has in the cluster, for internal/objects/testdata.
FROM ?= $(shell git describe --tags --abbrev=0 2>/dev/null || git rev-parse --short HEAD~1)
.PHONY: test-upgrade
test-upgrade: ## Upgrade from the commit FROM (the last tag, or else the previous commit) and back during drains, on the local cluster.
	hack/build-from.sh '$(FROM)'
	UPGRADE_FROM=$(CURDIR)/dist/from.yaml RECORD='$(RECORD)' $(MAKE) test-e2e LABELS=upgrade $(E2E_DATASTORE) \
		E2E_IMAGES='drain-operator datastore drain-operator-from' E2E_PROCS=1 E2E_FLAGS='$(E2E_FLAGS) -v'

# BENCH has further flags: make bench BENCH='-scenarios burst,one -sizes 10,50'. BENCH='-help' lists them.
BENCH_RESULTS := test/bench/results
.PHONY: bench
bench: build bench-program ## Measure what drains cost, beside a client that makes only the least writes, and write docs/performance.md.
	bin/bench -label after -revision '$(VERSION)' -out $(BENCH_RESULTS)/after.json $(BENCH)
	$(MAKE) bench-docs

.PHONY: bench-docs
bench-docs: bench-program ## Write the results of the benchmark in test/bench/results into docs/performance.md.
	bin/bench -render '$(wildcard $(BENCH_RESULTS)/before.json $(BENCH_RESULTS)/after.json $(BENCH_RESULTS)/later.json $(BENCH_RESULTS)/full.json)'

.PHONY: bench-program
bench-program:
	CGO_ENABLED=0 $(GO) build -C test/bench -o $(CURDIR)/bin/bench .

.PHONY: ci
ci: ## Run what CI runs, the parts of .ci/targets, until one fails.
	@grep -v '^#' .ci/targets | while read -r _ goal; do echo "=== make $$goal"; $(MAKE) $$goal </dev/null; done

##@ Build

.PHONY: build
build: ## Build the manager for this machine into bin/.
	$(GO_BUILD) -ldflags '$(VERSION_FLAGS)' -o bin/manager ./cmd/manager

# Put bin/ on PATH to run it as `kubectl drainpolicy`.
.PHONY: plugin
plugin: ## Build the kubectl plugin for this machine into bin/.
	CGO_ENABLED=0 $(GO) build -C cmd/kubectl-drainpolicy -trimpath -buildvcs=false -ldflags '-s -w $(VERSION_FLAGS)' -o $(CURDIR)/bin/kubectl-drainpolicy .

.PHONY: run
run: ## Run the manager on this machine against the current cluster, with metrics and probes off.
	KUBECONFIG=$$(hack/kubectl.sh --kubeconfig-path) $(GO) run ./cmd/manager --leader-elect=false --metrics-bind-address=0 --health-probe-bind-address=0

.PHONY: image
image: ## Build the operator's image without Docker into dist/images/drain-operator.tar.
	$(LINUX_BUILD) -o bin/linux/manager ./cmd/manager
	@mkdir -p dist/images
	$(IMAGE_BUILDER) --name $(LOCAL_IMG) --binary $(CURDIR)/bin/linux/manager=/manager --entrypoint /manager \
		--user 65532:65532 --output $(CURDIR)/dist/images/drain-operator.tar

.PHONY: images $(SAMPLE_IMAGES:%=sample-image-%)
images: image $(SAMPLE_IMAGES:%=sample-image-%) ## Build every image of this tree: the operator's and those of the samples' own programs.
$(SAMPLE_IMAGES:%=sample-image-%): sample-image-%:
	$(LINUX_BUILD) -o bin/linux/$* ./$(call image_folder,$*)
	@mkdir -p dist/images
	$(IMAGE_BUILDER) --name localhost/$*:dev --binary $(CURDIR)/bin/linux/$*=/$* --entrypoint /$* $(SAMPLE_FILES_$*) \
		--user 65532:65532 --output $(CURDIR)/dist/images/$*.tar

# The spool's image has rclone in it, from a module of its own.
SAMPLE_FILES_spool := --binary $(CURDIR)/bin/linux/rclone=/rclone
sample-image-spool: rclone
.PHONY: rclone
rclone:
	CGO_ENABLED=0 GOOS=linux $(GO) build -C $(call image_folder,spool)/rclone -trimpath -ldflags '-s -w' -o $(CURDIR)/bin/linux/rclone .

# Servers of Debian's, which the samples run. Their packages are downloaded, not installed, and kept in the cache; where apt isn't Debian's
# but Docker is there, it builds the same from the Dockerfile.
.PHONY: debian-images $(DEBIAN_IMAGES:%=debian-image-%)
debian-images: $(DEBIAN_IMAGES:%=debian-image-%) ## Make the images of Debian's servers that the samples run.
$(DEBIAN_IMAGES:%=debian-image-%): debian-image-%:
	@mkdir -p dist/images
	@if grep -qs '^ID=debian' /etc/os-release; then \
		$(IMAGE_BUILDER) --name localhost/$*:dev $(addprefix --deb ,$(shell sed -n 's/^ARG PACKAGES="\(.*\)"$$/\1/p' $(call image_folder,$*)/Dockerfile)) \
			$(DEBIAN_LINKS_$*) --user 65532:65532 --output $(CURDIR)/dist/images/$*.tar; \
	else \
		$(CONTAINER_TOOL) build -t localhost/$*:dev $(call image_folder,$*) && $(CONTAINER_TOOL) save -o dist/images/$*.tar localhost/$*:dev; \
	fi

# A shell that finds all of busybox's programs in itself. Debian's /bin is a link to /usr/bin.
DEBIAN_LINKS_busybox := --link busybox=/usr/bin/sh

# Servers whose Go modules have their programs, in /usr/local/bin, beside a shell. "go build tool" builds what the tool lines name.
.PHONY: module-images $(MODULE_IMAGES:%=module-image-%)
module-images: $(MODULE_IMAGES:%=module-image-%) ## Make the images of servers that are built from Go modules (on Debian).
$(MODULE_IMAGES:%=module-image-%): module-image-%:
	@grep -qs '^ID=debian' /etc/os-release || { echo 'module-image-$*: needs Debian, for busybox; push an image with the programs of its go.mod instead' >&2; exit 1; }
	@rm -rf bin/images/$* && mkdir -p bin/images/$* dist/images
	@$(foreach module,$(patsubst %/go.mod,%,$(wildcard $(addprefix $(call image_folder,$*)/,go.mod */go.mod))), \
		echo 'go build tool ($(module))'; \
		CGO_ENABLED=0 GOOS=linux $(GO) build -C $(module) $(addprefix -tags=,$(MODULE_TAGS_$(notdir $(module)))) \
			-mod=readonly -trimpath -buildvcs=false -ldflags '-s -w' -o $(CURDIR)/bin/images/$*/ tool; \
	)
	@$(IMAGE_BUILDER) --name localhost/$*:dev $$(for program in bin/images/$*/*; do echo "--binary $(CURDIR)/$$program=/usr/local/bin/$${program##*/}"; done) \
		--deb busybox-static $(DEBIAN_LINKS_busybox) $(MODULE_LINKS_$*) --user 65532:65532 --output $(CURDIR)/dist/images/$*.tar

# Build tags, by the folder of a go.mod. No service discovery of Prometheus is used, and the clients of all clouds take most of its build. Thanos compiles
# with this form of labels only.
MODULE_TAGS_prometheus := remove_all_sd
MODULE_TAGS_thanos := slicelabels

# Go names a program after its package, which is server in etcd's case.
MODULE_LINKS_etcd := --link server=/usr/local/bin/etcd

.PHONY: docker-build
docker-build: ## Build the image IMG with Docker.
	$(CONTAINER_TOOL) build --build-arg VERSION_FLAGS='$(VERSION_FLAGS)' -t $(IMG) .

.PHONY: docker-buildx
docker-buildx: ## Build and push the image IMG for PLATFORMS with Docker buildx.
	$(CONTAINER_TOOL) buildx build --push --platform=$(PLATFORMS) --build-arg VERSION_FLAGS='$(VERSION_FLAGS)' -t $(IMG) .

.PHONY: build-installer
build-installer: manifests ## Write everything that installs IMG into dist/install.yaml.
	@mkdir -p dist
	hack/render.sh $(OVERLAY) $(IMG) >dist/install.yaml

##@ Release

# REPOSITORY=example.com/drain-operator pins the image there by its digest in install.yaml and the chart. docs/release.md has the rest.
.PHONY: release
release: export VERSION_FLAGS := $(VERSION_FLAGS)
release: export REPOSITORY := $(REPOSITORY)
release: bin/syft ## Build all that a release page holds into dist/release: make release VERSION=v0.1.0.
	VERSION='$(VERSION)' hack/release/release.sh

# It takes minutes to build, so only when its own files changed.
bin/syft: hack/release/syft/go.mod hack/release/syft/go.sum
	@echo "Building syft (some minutes, once)"
	@v="$$($(GO) list -C hack/release/syft -m -f '{{.Version}}' github.com/anchore/syft)" && \
		CGO_ENABLED=0 $(GO) build -C hack/release/syft -trimpath -ldflags "-s -w -X main.version=$${v#v}" -o $(CURDIR)/$@ github.com/anchore/syft/cmd/syft

.PHONY: test-release
test-release: ## Build the release VERSION of the last commit twice, in two folders, and compare the bytes.
	VERSION='$(VERSION)' REPOSITORY='$(REPOSITORY)' hack/release/twice.sh

##@ Local cluster

.PHONY: cluster-up
cluster-up: ## Start the local cluster with NODES nodes and Kubernetes KUBERNETES; its kubeconfig is .cluster/kubeconfig.
	$(CLUSTER) up --nodes $(NODES) $(if $(KUBERNETES),--kubernetes '$(KUBERNETES)') $(if $(FEATURE_GATES),--feature-gates '$(FEATURE_GATES)')

.PHONY: cluster-down
cluster-down: ## Stop the local cluster and remove all of it.
	$(CLUSTER) down

.PHONY: cluster-status
cluster-status: ## Show whether the local cluster is up and what runs in it.
	$(CLUSTER) status

.PHONY: cluster-load
cluster-load: ## Load image tarballs onto every node: IMAGE="a.tar b.tar".
	@[[ -n "$(IMAGE)" ]] || { echo 'cluster-load: say which, e.g. make cluster-load IMAGE=dist/images/drain-operator.tar' >&2; exit 2; }
	$(CLUSTER) load $(abspath $(IMAGE))

.PHONY: cluster-node
cluster-node: ## Power off, cut off or heal a node: NODE=2 DO=crash|partition|heal.
	@[[ -n "$(NODE)" && -n "$(DO)" ]] || { echo 'cluster-node: say which node and what, e.g. make cluster-node NODE=2 DO=crash' >&2; exit 2; }
	$(CLUSTER) node $(NODE) $(DO)

##@ Deployment

.PHONY: install
install: ## Install the CRD only.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply -f -

.PHONY: uninstall
uninstall: ## Remove the CRD and every DrainPolicy with it; the operator must still run, to release its locks.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found --timeout=3m -f -

# On the local cluster, deploy installs what this tree builds. On any other, IMG is an image that cluster can pull.
.PHONY: deploy
deploy: ## Install the operator: from this tree on the local cluster, else IMG on the cluster of KUBECONFIG.
	@if [[ "$(IMG)" == "$(LOCAL_IMG)" && "$$(hack/kubectl.sh --kubeconfig-path)" == "$(CURDIR)/.cluster/kubeconfig" ]]; then \
		$(MAKE) image && $(MAKE) cluster-load IMAGE=dist/images/drain-operator.tar; \
	fi
	$(MAKE) apply

.PHONY: apply
apply: ## Install the operator with an image that is already there, and wait until it runs.
	@mkdir -p dist
	hack/render.sh $(OVERLAY) $(IMG) >dist/apply.yaml
	@KUBECTL='$(KUBECTL)' FOLLOW_ANNOTATIONS='$(FOLLOW_ANNOTATIONS)' hack/guard-annotations.sh dist/apply.yaml
	$(KUBECTL) apply -f dist/apply.yaml
	$(KUBECTL) -n drain-operator-system rollout status deployment/drain-operator-controller-manager --timeout=3m

# The CRD goes first, while the operator still runs: it holds finalizers on policies whose drains are under way.
.PHONY: undeploy
undeploy: uninstall ## Remove the CRD, every DrainPolicy and the operator.
	hack/render.sh $(OVERLAY) $(IMG) | $(KUBECTL) delete --ignore-not-found --timeout=3m -f -

##@ Housekeeping

.PHONY: clean
clean: ## Remove what was built here; the local cluster and the cache outside the checkout stay.
	rm -rf bin dist cover.out cover.*.out

# golangci-lint with the Kubernetes linters compiled in. It takes minutes to build, so only when its own files changed.
$(GOLANGCI_LINT): hack/tools/golangci-lint/go.mod hack/tools/golangci-lint/go.sum hack/tools/golangci-lint/main.go
	@echo "Building golangci-lint with the Kubernetes linters (a few minutes, once)"
	@v="$$($(GO) list -C hack/tools/golangci-lint -m -f '{{.Version}}' github.com/golangci/golangci-lint/v2)" && \
		$(GO) build -C hack/tools/golangci-lint -ldflags "-s -w -X main.version=$${v#v}" -o $@ .

# With the flags of "go tool", with which test/chart runs helm, so that Go's cache serves both.
$(CURDIR)/bin/helm: hack/tools/helm/go.mod hack/tools/helm/go.sum
	@echo "Building helm and helm-unittest (a few minutes, once)"
	@v="$$($(GO) list -C hack/tools/helm -m -f '{{.Version}}' helm.sh/helm/v4)" && mkdir -p bin && \
		$(GO) build -C hack/tools/helm -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$$v" -o $(CURDIR)/bin/ \
			helm.sh/helm/v4/cmd/helm github.com/helm-unittest/helm-unittest/cmd/helm-unittest
	@touch $@
$(HELM_UNITTEST): $(CURDIR)/bin/helm
	@touch $@
