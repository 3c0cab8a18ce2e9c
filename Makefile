# Everything works on a fresh machine with Go only.

ADDR ?= 127.0.0.1:8080
DATA ?= .data
# A number of inputs, not a time: at the end of a time the fuzzer of Go 1.26 may
# fail a target in which it found nothing (golang/go#75804).
FUZZTIME ?= 15000x
# Instrumented is what may be a fault of ours and what parses for us: to instrument
# everything, as -fuzz does, builds the standard library and all modules once more.
FUZZ_BUILD := -vet=off -ldflags='-s -w' $(foreach p,iocredits/... github.com/go-json-experiment/... \
	github.com/ericlagergren/decimal/...,-gcflags=$(p)=-d=libfuzzer) -gcflags=iocredits/httpapi/api=
BIN := .tools/bin
GOLANGCI_LINT_VERSION := v2.15.0

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: build ## start the engine with sample data (ADDR=host:port, DATA=folder)
	@exec $(BIN)/iocredits serve --dev --data $(DATA) --addr $(ADDR) --samples testdata/samples --log-level warn

# Tests are built without vet: make lint has all of it.
test: ## run all tests
	go test -vet=off ./...

build: ## build the binary into .tools/bin
	@go build -o $(BIN)/iocredits ./cmd/iocredits

# The C of zstd, which has no races to find, is most of what gcc builds: -O1 is half the time.
# What has no goroutines of its own, as the codec, meets others in the tests of these.
race: ## run the tests of the concurrent packages under the race detector, the longest first
	CGO_CFLAGS=-O1 go test -race -short -vet=off ./cmd/... ./projections/... ./httpapi ./httpapi/spherepay \
		$(addprefix ./eventstore/,esdbserver esdbstore keyring ledger notices pebblestore reactor)

test-esdb: ## run the EventStoreDB suite: Go and Node clients (ESDB_URL=esdb://… against a real server)
	ESDB_NODE=1 go test -vet=off -count=1 ./eventstore/esdbserver ./eventstore/esdbstore
	go test -vet=off -count=1 -run 'TwoEngines|ClusterOutage|TestCopy|EnginesHaveOneOrder|EsdbAddr|LeaseMoves|ErasureIsReal' ./cmd/iocredits

fuzz: ## run every fuzz target for a while (FUZZTIME=15000x: inputs a target)
	@mkdir -p .tools; cache=$$(go env GOCACHE)/fuzz/iocredits; \
	grep -rl --include='*_test.go' '^func Fuzz' cmd domain eventstore httpapi projections | xargs -n 1 dirname | sort -u | \
	while read -r package; do \
		go test -c $(FUZZ_BUILD) -o $(CURDIR)/.tools/fuzz.test ./$$package </dev/null || exit 1; \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$package/*_test.go | cut -c 6-); do \
			echo "./$$package $$target"; \
			(cd $$package && $(CURDIR)/.tools/fuzz.test -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzcachedir "$$cache/$$package" </dev/null) || exit 1; \
		done; \
	done

lint: $(BIN)/golangci-lint ## gofmt, go vet, golangci-lint
	@unformatted=$$(gofmt -l cmd domain eventstore httpapi projections); \
		if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	go vet ./...
	$(BIN)/golangci-lint run ./...

bench: build ## measure the engine on this machine, beside what the disk and an empty handler can do
	@$(BIN)/iocredits bench

generate: ## write the generated code anew
	go generate ./...

clean: ## remove what make run and make build left (not a data directory of yours)
	rm -rf .data .tools

$(BIN)/golangci-lint:
	GOBIN=$(CURDIR)/$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

.PHONY: help run test build race test-esdb fuzz lint bench generate clean
