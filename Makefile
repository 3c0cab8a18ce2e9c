# Everything works on a fresh machine with Go only.

ADDR ?= 127.0.0.1:8080
DATA ?= .data
# A number of inputs, not a time: at the end of a time the fuzzer of Go 1.26 may
# fail a target in which it found nothing (golang/go#75804).
FUZZTIME ?= 30000x
BIN := .tools/bin
GOLANGCI_LINT_VERSION := v2.15.0

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: build ## start the engine with sample data (ADDR=host:port, DATA=folder)
	@exec $(BIN)/iocredits serve --dev --data $(DATA) --addr $(ADDR) --samples testdata/samples --log-level warn

test: ## run all tests
	go test ./...

build: ## build the binary into .tools/bin
	@go build -o $(BIN)/iocredits ./cmd/iocredits

race: ## run the tests of the concurrent packages under the race detector, the longest first
	go test -race -short ./cmd/... ./projections/... ./httpapi/... ./eventstore/...

test-esdb: ## run the EventStoreDB suite: Go and Node clients (ESDB_URL=esdb://… against a real server)
	ESDB_NODE=1 go test -count=1 ./eventstore/esdbserver ./eventstore/esdbstore
	go test -count=1 -run 'TwoEngines|ClusterOutage|TestCopy|EsdbAddr|LeaseMoves|ErasureIsReal' ./cmd/iocredits

fuzz: ## run every fuzz target for a while (FUZZTIME=30000x: inputs a target)
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd domain eventstore httpapi projections | sort | \
	while IFS=: read -r file target; do \
		package=./$$(dirname $$file); target=$${target#func }; \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package </dev/null || exit 1; \
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
