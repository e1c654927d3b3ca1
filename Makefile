# Every target does its own set-up: all that must be installed is Go, in the version that go.mod names or a later one.
# Tools are pinned, built from source into bin/tools, and built once.

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS     += --no-builtin-rules

GO         ?= go
GO_VERSION := $(shell sed -n 's/^go //p' go.mod)
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
LDFLAGS    := -s -w -X main.version=$(VERSION)
STATIC     := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'

GOLANGCI    := v2.15.0
GOVULNCHECK := v1.9.0
TOOLS       := bin/tools

# The race detector needs a C compiler; without one the tests run without it, and say so.
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 && echo -race)

PKG       ?= ./...
FUZZTIME  ?= 30s
DATA      ?= ../shared/data/events
SAMPLE    := pkg/sample
RUN_STORE := bin/run/alerts.db
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.PHONY: help
help: ## Show what can be made
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: go
go:
	@command -v $(GO) >/dev/null || { echo "Assay is built with Go $(GO_VERSION) or later: https://go.dev/dl/" >&2; exit 1; }

.PHONY: build
build: go ## Build bin/assay, one static executable
	@mkdir -p bin
	@$(STATIC) -o bin/assay ./functions

.PHONY: run
run: build ## Find the forged tokens in the bundled logs
	@mkdir -p $(dir $(RUN_STORE)) && rm -f $(RUN_STORE)*
	@./bin/assay detect --store $(RUN_STORE) --config $(SAMPLE)/assay.yaml $(SAMPLE)/events
	@echo "      ./bin/assay alerts list --store $(RUN_STORE)"
	@echo "      ./bin/assay rules show token-key-issuer-scope-violation"
	@echo "      ./bin/assay detect --help"

.PHONY: test
test: go ## Run all tests, with the race detector
	@$(if $(RACE),,echo "no C compiler: the tests run without the race detector" >&2)
	@$(GO) vet $(PKG)
	@$(GO) test $(RACE) $(PKG)
	@$(if $(filter ./...,$(PKG)),$(MAKE) --no-print-directory gates data-check)
	@$(MAKE) --no-print-directory peers

# What the race detector distorts is tested without it, one package at a time: ratios of CPU time, and allocations.
GATES := ^Test(Path|Cost|Hostile|Events|Quiet)

# sigma-go is a dependency of a module of its own. Its go.mod is copied, for ours may have moved on.
SIGMA := -C pkg/bench/sigma
SIGMA_MOD := -mod=mod -modfile=$(CURDIR)/bin/sigma.mod

.PHONY: gates
gates: go sigma-mod ## Hold the speed and the allocations to their targets
	@$(GO) test -count 1 -p 1 -run '$(GATES)' ./pkg/bench ./pkg/decode ./pkg/rules ./functions
	@$(GO) test $(SIGMA) $(SIGMA_MOD) -count 1 .

.PHONY: sigma-mod
sigma-mod:
	@mkdir -p bin
	@cp pkg/bench/sigma/go.mod bin/sigma.mod
	@cp pkg/bench/sigma/go.sum bin/sigma.sum

# Peers are servers and libraries of others, from npm by a lock file, that the tests talk to on 127.0.0.1. They need Node.
PEERS := pkg/internal/peers

.PHONY: peers
peers: go ## Run the tests against servers and libraries of others
	@major=$$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/'); \
	if [ "$${major:-0}" -lt 20 ]; then \
	  echo "skipped: tests against real peers need Node 20 or later$${major:+, here is $$major}" >&2; exit 0; fi; \
	$(MAKE) --no-print-directory $(PEERS)/node_modules/.package-lock.json && \
	$(GO) test $(RACE) -tags peers ./$(PEERS)/...

$(PEERS)/node_modules/.package-lock.json: $(PEERS)/package-lock.json
	@echo "installing the peers of the tests, once" >&2
	@cd $(PEERS) && npm ci --no-progress --loglevel error
	@touch $@

.PHONY: race
race: go ## Run the tests over and over, shuffled and on several processor counts, to shake out races
	@[ -n "$(RACE)" ] || { echo "the race detector needs a C compiler" >&2; exit 1; }
	@$(GO) test -race -count 3 -cpu 1,2,8 -shuffle on $(PKG)

.PHONY: bench
bench: build sigma-mod ## Measure the path, the rules and the whole process against their yardsticks
	@$(GO) run ./pkg/bench/measure bin/assay
	@echo && $(GO) run ./pkg/bench/measure -rounds 3 -replay 100000 bin/assay
	@$(GO) test -count 1 -v -run '^TestCost$$' ./functions -cost || echo "some bounds are missed, see above; a busy machine misses them, too"
	@echo && $(GO) run $(SIGMA) $(SIGMA_MOD) .

.PHONY: fuzz
fuzz: go ## Fuzz each target for FUZZTIME (30s)
	@for package in $$($(GO) list $(PKG)); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target" && \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; \
	done

.PHONY: lint
lint: go $(TOOLS)/golangci-lint-$(GOLANGCI) ## Check format, style and the import rules
	@$(TOOLS)/golangci-lint-$(GOLANGCI) run --allow-parallel-runners
	@bash -n .ci/run

.PHONY: fmt
fmt: go $(TOOLS)/golangci-lint-$(GOLANGCI) ## Format the code
	@$(TOOLS)/golangci-lint-$(GOLANGCI) fmt

$(TOOLS)/golangci-lint-$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI), once" >&2
	@mkdir -p $(TOOLS)
	@GOBIN=$(CURDIR)/$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv $(TOOLS)/golangci-lint $@

$(TOOLS)/govulncheck-$(GOVULNCHECK):
	@mkdir -p $(TOOLS)
	@GOBIN=$(CURDIR)/$(TOOLS) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK)
	@mv $(TOOLS)/govulncheck $@

# govulncheck exits with 3 where it found something, and with 1 where it could not look.
.PHONY: vuln
vuln: go $(TOOLS)/govulncheck-$(GOVULNCHECK) ## Look for known vulnerabilities in what Assay calls
	@out=$$($(TOOLS)/govulncheck-$(GOVULNCHECK) ./... 2>&1) && status=0 || status=$$?; echo "$$out"; \
	if [ $$status -ne 0 ] && grep -qiE 'fetching vulnerabilities|dial tcp|no such host|forbidden|connection refused' <<<"$$out"; then \
	  echo "skipped: the vulnerability database is out of reach" >&2; exit 0; fi; \
	exit $$status

.PHONY: cover
cover: go ## Measure what the tests cover; the page is bin/cover.html
	@mkdir -p bin
	@$(GO) test -coverpkg ./pkg/...,./functions/... -coverprofile bin/cover.out $(PKG) >/dev/null
	@$(GO) tool cover -html bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func bin/cover.out | tail -n 1

.PHONY: package
package: go ## Assemble the function app in dist/app and, for deployment, dist/app.zip
	@rm -rf dist/app dist/app.zip && mkdir -p dist
	@GOOS=linux GOARCH=amd64 $(STATIC) -o dist/assay-linux-amd64 ./functions
	@$(GO) run ./pkg/internal/bundle -zip dist/app.zip dist/assay-linux-amd64 dist/app
	@cd dist && { command -v sha256sum >/dev/null && sha256sum app.zip || shasum -a 256 app.zip; }

.PHONY: start
start: build ## Run the function app on this machine, with no cloud (ARGS=files to publish)
	@$(GO) run ./pkg/internal/bundle -settings local.settings.sample.json bin/assay dist/local
	@bin/assay dev --app dist/local $(ARGS)

.PHONY: executables
executables: go ## Build the executables of all platforms into dist/, reproducibly
	@mkdir -p dist && rm -f dist/assay-* dist/SHA256SUMS
	@for platform in $(PLATFORMS); do \
	  os=$${platform%/*} arch=$${platform#*/}; \
	  file=dist/assay-$$os-$$arch; [ $$os != windows ] || file=$$file.exe; \
	  GOOS=$$os GOARCH=$$arch $(STATIC) -o $$file ./functions; \
	done
	@cp LICENSE dist/
	@cd dist && { command -v sha256sum >/dev/null && sha256sum assay-* || shasum -a 256 assay-*; } > SHA256SUMS
	@cat dist/SHA256SUMS

.PHONY: soak
soak: build ## Run 5 GB through assay and show that its memory stays flat (SOAK=GB); replay a million records; kill the handler in 100,000 events
	@$(GO) run ./pkg/bench/measure -soak $${SOAK:-5} bin/assay
	@$(GO) run ./pkg/bench/measure -rounds 1 -replay 1000000 bin/assay
	@$(GO) test -count 1 -timeout 30m -v -run 'TestKills' ./functions -kill-events 100000 -kills 15
	@$(GO) test -count 1 -timeout 30m -tags peers -v -run 'TestTheWindowOfAHub|TestAReplayThatIsKilled|TestTheFunctionAppIsKilledInAReplay' ./$(PEERS)/eventhubs -events 200000 -kills 20

.PHONY: sigma-report
sigma-report: build ## Tell which Sigma rules in DIR can be evaluated, and why each of the others cannot (CONFIG=assay.yaml)
	@[ -n "$(DIR)" ] && [ -e "$(DIR)" ] || { echo "name the folder of the rules with DIR=, which is to be there" >&2; exit 1; }
	@bin/assay rules check $(if $(CONFIG),--config "$(CONFIG)") "$(DIR)" || [ $$? -eq 1 ] # a rule with a mistake fails the report's command, not the report

.PHONY: benign
benign: go ## Hold 100,000 ordinary records against the rules: none may raise an alert of high severity
	@$(GO) test -run 'Test(OrdinaryDays|BenignRecords)AreQuiet' ./$(SAMPLE) -benign 100000

.PHONY: sample
sample: go ## Make the made part of the bundled logs again
	@$(GO) run ./$(SAMPLE)/generate $(SAMPLE)/events

.PHONY: data-check
data-check: build ## Hold the alerts on the real logs in DATA against the verdicts in the tree
	@if [ ! -d "$(DATA)" ]; then echo "skipped: no real logs at $(DATA); name their folder with DATA=" >&2; exit 0; fi; \
	$(GO) run ./pkg/sample/realdata bin/assay "$(DATA)"

.PHONY: clean
clean: ## Remove what was built; the tools in bin/tools stay
	@rm -rf dist && find bin -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} + 2>/dev/null || true
