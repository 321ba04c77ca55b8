# make          format, vet, staticcheck, tests
# make quick    the inner loop: format, vet, short tests
# make test     everything, with the race detector where code is concurrent; what CI runs
# make fuzz     every fuzzer for a minute (FUZZTIME=10s for less, ARGS=./daml/... for some); make test runs their corpora
# make bench    measure this network; make bench-peers measures it beside others, make soak for ten minutes
# make sandbox  build and run a network of four sequencers on this machine
.DEFAULT_GOAL := check
.PHONY: check quick test test-tools fuzz lint format vet staticcheck build sandbox bench bench-peers soak generate clean go

GO ?= go
STATICCHECK = $(GO) tool -modfile=tools/staticcheck.mod staticcheck

# Code without goroutines gains nothing from the race detector and would pay for it tenfold.
SEQUENTIAL = 'synod/(api|bft|cmd|daml|internal|sequencer/historytest|sim|test|topology)(/|$$)'
# Except these of them, where goroutines share an engine or a folder.
SHARED = 'synod/daml/(cache|script)$$'
# Most of what these test is long walks of one goroutine over a disk or a network in memory, at virtual times: they run in full without
# the detector, and short with it.
WALKS = 'synod/(client|replica/store|sequencer/history)$$'

check: lint
	$(GO) test ./...

quick: format vet
	$(GO) test -short ./...

# Stories take ten minutes where four processes share a core with others; what hangs says so after minutes by itself.
test: lint test-tools
	SYNOD_SIM=60s $(GO) test -timeout 40m $$($(GO) list ./... | grep -E -e $(SEQUENTIAL) -e $(WALKS) | grep -vE $(SHARED))
	@if command -v gcc >/dev/null; then race=-race; else echo 'no race detection: it needs gcc (apt-get install gcc)' >&2; race=; fi; \
	set -x; $(GO) test -timeout 40m $$race $$($(GO) list ./... | grep -vE -e $(SEQUENTIAL) -e $(WALKS)) $$($(GO) list ./... | grep -E $(SHARED)) && \
	{ test -z "$$race" || $(GO) test -timeout 40m -short $$race $$($(GO) list ./... | grep -E $(WALKS)); }

# PostgreSQL, Chromium, Node.js and the JavaScript SDKs, where they can be installed
test-tools:
	@tools/install-test-tools.sh

fuzz: go
	@tools/fuzz.sh $(ARGS)

lint: format vet staticcheck

format: go
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './.*' -not -name '*.pb.go')); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet: go
	$(GO) vet ./...

staticcheck: go
	$(STATICCHECK) ./...

build: go
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/synod ./cmd/synod

sandbox: build
	bin/synod sandbox --dir ./net --sequencers 4 --ready-file ./net/ready.json

# Nothing else should run on the machine meanwhile. ARGS are passed on, such as ARGS="--dir /data --json".
bench: build
	bin/synod bench $(ARGS)

# Does memory grow while the load stays the same?
soak: build
	bin/synod bench --workload soak --rate 15000 --duration 10m $(ARGS)

bench-peers: build
	cd bench/peers && $(GO) run . --synod-binary ../../bin/synod $(ARGS)

generate: go
	./tools/generate.sh
	$(GO) test ./telemetry -run TestMetricsPage -update
	$(GO) test ./node/config -run TestConfigurationPage -update

clean:
	rm -rf bin net

go:
	@command -v $(GO) >/dev/null || { echo 'synod needs Go 1.26 or newer: install it from https://go.dev/dl' >&2; exit 1; }
