.DEFAULT_GOAL := help
.PHONY: help build demo check test race fuzz golden bench matrix sim difference upgrade world ledger drivers doors pgbouncer-suite versions regress judge features partition page faults rails-example rules platforms verify install dist deps lint hooks fmt vet unit

# Pinned: `make lint` gives the same answer on every machine.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI    := 2.15.0

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -X main.version=$(VERSION)
PREFIX  ?= /usr/local
FUZZTIME ?= 30s
# Packages whose tests start PostgreSQL without the build tag pg. `make check` leaves them out.
WITH_SERVER := pgguard/bench pgguard/bench/load pgguard/bench/scenario pgguard/proxy/pgtest
UNIT = $(filter-out $(WITH_SERVER),$(shell go list ./...))

help:  ## show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n",$$1,$$2}' $(MAKEFILE_LIST)

build:  ## build bin/pgguard and bin/pgguard-bench
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

install: build  ## install the programs, the manual, completions and systemd's units below PREFIX (/usr/local), DESTDIR before it
	@DESTDIR=$(DESTDIR) sh deploy/install.sh bin $(PREFIX)

dist:  ## static programs for three platforms, packages, SBOMs and checksums, in dist/
	sh deploy/dist.sh dist $(VERSION)

demo:  ## see an overload direct and guarded, on a PostgreSQL of its own; about two minutes, and some more to compile the first time
	@sh deploy/say.sh 'looking for PostgreSQL, and installing it if need be' sh deploy/deps.sh
	@sh deploy/say.sh 'compiling; some minutes the first time' go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...
	bin/pgguard demo $(DEMOFLAGS)

check: fmt vet lint unit  ## what every commit needs: format, vet, lint, unit tests; no PostgreSQL, under a minute

test:  ## check, then every test with the race detector and a real PostgreSQL; a quarter of an hour on two cores
	@echo 'make check, then every test with the race detector: about 15 minutes on two cores, and as much again the first time'
	@$(MAKE) check deps
	go test -race -tags pg -timeout 25m ./...

race:  ## the unit tests with the race detector
	go test -race $(UNIT)

fuzz:  ## every fuzz target for FUZZTIME (30s)
	@go list -f '{{$$p := .}}{{range .TestGoFiles}}{{$$p.ImportPath}} {{$$p.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$p.ImportPath}} {{$$p.Dir}}/{{.}}{{"\n"}}{{end}}' ./... | \
	while read -r pkg file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "==> $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$$pkg" || exit 1; \
		done; \
	done

golden:  ## rewrite expected outputs; then read the diff as code
	@for pkg in $$(grep -rlE --include='*_test.go' 'flag.Bool\("rewrite"|cockroachdb/datadriven' . | xargs -n1 dirname | sort -u); do \
		go test "$$pkg" -rewrite || exit 1; \
	done

bench: build  ## measure the scenarios beside a direct connection and PgBouncer
	sh deploy/deps.sh bench
	bin/pgguard-bench run $(or $(SCENARIO),steady) --start-server --target direct --target pgbouncer --target guard=bin/pgguard $(BENCHFLAGS)

sim: build  ## play simulated overloads and compare the law with the best static limit; SIMFLAGS="--robust" for each constant halved and doubled
	nice bin/pgguard-bench sim $(SIMFLAGS)

matrix: build  ## measure the guard in 8 regimes beside fixed limits, PgBouncer and direct, ten minutes; MATRIXFLAGS="--repeats 1" for all, about an hour
	sh deploy/deps.sh bench
	bin/pgguard-bench matrix --start-server --target direct --target pgbouncer$(if $(PGBOUNCER),=$(PGBOUNCER)) --target guard=bin/pgguard $(or $(MATRIXFLAGS),--cells 8 --time 4s --warmup 2s --limits 2,8,32)

features: build  ## compare session features with a direct connection and PgBouncer; the table in docs/compatibility.md
	sh deploy/deps.sh bench
	bin/pgguard-bench features --start-server --target direct --target pgbouncer$(if $(PGBOUNCER),=$(PGBOUNCER)) --target guard=bin/pgguard --markdown

difference: deps  ## random sessions direct and through the guard for DIFFERENCE (1h), until one differs
	DIFFERENCE=$(or $(DIFFERENCE),1h) go test -tags 'pg spoil' -count 1 -timeout 0 -v -run 'TestDifference$$' ./proxy/conformance/difference

upgrade: deps  ## replace the program twice under UPGRADE_CLIENTS (200) busy clients; says the longest stall
	PGGUARD_UPGRADE_CLIENTS=$(or $(UPGRADE_CLIENTS),200) go test -tags pg -count 1 -v -run TestUpgradeCostsNobodyAnything ./cmd/pgguard

world: deps  ## random sessions while tables, types and settings change beside them, for DIFFERENCE_WORLD (30m), until one differs
	DIFFERENCE_WORLD=$(or $(DIFFERENCE_WORLD),30m) go test -tags pg -count 1 -timeout 0 -v -run 'TestWorld$$' ./proxy/conformance/difference

ledger: deps  ## what clients were told against what is in the table, while servers die, for LEDGER (1h), until one round is wrong
	LEDGER=$(or $(LEDGER),1h) go test -tags 'pg spoil' -count 1 -timeout 0 -v -run 'TestLedger$$' ./proxy/conformance/ledger

drivers: build  ## end to end with real drivers, a pool of 4 and 50 noisy neighbours
	sh proxy/conformance/drivers/run.sh

doors:  ## who comes in, by each method of client and server and each driver, beside PostgreSQL 14 and 18; writes docs/authentication.md, ten minutes
	sh proxy/conformance/doors/run.sh

pgbouncer-suite:  ## PgBouncer's own tests, from a checkout of 1.25.2 at PGBOUNCER=DIR, with this pgguard in its place; docs/pgbouncer-suite.md has what they say
	sh proxy/conformance/pgbouncer/run.sh $(PGBOUNCER)

versions: deps  ## the tests with servers 14 to 18
	sh deploy/versions.sh

regress: build  ## PostgreSQL's own regression suite through the guard, in transaction and in session mode
	sh proxy/conformance/regress/run.sh transaction
	sh proxy/conformance/regress/run.sh session

judge:  ## hold the scanner against PostgreSQL's parser, fuzzing for JUDGE_FUZZ (5s)
	cd proxy/sql/judge && JUDGE_FUZZ=$(or $(JUDGE_FUZZ),5s) go test -timeout 0 -v .

partition: deps  ## half-open connections and a network that is gone, in a network namespace; needs Linux and root, half a minute
	go test -tags 'pg netns' -count 1 -v -run 'TestHalfOpen|TestNetworkThatIsGone' ./proxy

page: deps  ## look at the dashboard in Chromium, in every state, light and dark, narrow and wide; SHOTS=DIR keeps the pictures; a minute
	sh deploy/deps.sh browser
	go test -tags chrome -count 1 -v ./proxy/dashboard

faults: deps  ## inject ten faults into a real PostgreSQL, each behind ordinary load, and see what is said within ten seconds; then HEALTHY (2m) in which nothing may be; ten minutes
	HEALTHY=$(or $(HEALTHY),2m) go test -tags 'pg faults' -count 1 -timeout 0 -v -run 'TestFault|TestHealthyLoad' ./proxy/witness

rails-example: deps  ## deploy, TLS, and web and jobs under load, direct and guarded, with the Rails application of examples/rails; RAILSFLAGS="-run Deploy"; ten minutes
	sh proxy/conformance/rails/run.sh $(RAILSFLAGS)

rules: deps  ## check and try the rules for Prometheus with its own tool
	sh deploy/deps.sh promtool
	promtool check rules deploy/prometheus/rules.yaml
	promtool test rules deploy/prometheus/rules_test.yaml

platforms:  ## compile for every platform that a release is for
	@for p in linux/amd64 linux/arm64 darwin/arm64; do echo $$p; CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null ./cmd/pgguard && \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null ./cmd/pgguard-bench || exit 1; done

verify:  ## hold deploy/ against systemd-analyze, docker-compose and Nix
	sh deploy/verify.sh

deps:  ## install PostgreSQL where apt-get can, otherwise say what to install
	@sh deploy/deps.sh

lint:  ## staticcheck, and golangci-lint where it is installed
	go run $(STATICCHECK) -tags pg ./...
	@for g in golangci-lint "$$(go env GOPATH)/bin/golangci-lint"; do \
		if "$$g" version 2>/dev/null | grep -q ' $(GOLANGCI) '; then exec "$$g" run ./...; fi; \
	done; echo "golangci-lint $(GOLANGCI) is not installed; the rest of .golangci.yml is not checked here"

hooks:  ## have git run `make check` before each commit
	@mkdir -p "$$(git rev-parse --git-path hooks)"
	@printf '#!/bin/sh\nexec make check\n' > "$$(git rev-parse --git-path hooks)/pre-commit"
	@chmod +x "$$(git rev-parse --git-path hooks)/pre-commit"

fmt:
	@unformatted=$$(gofmt -l cmd proxy pool breaker bench deploy); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet -tags 'pg chrome faults rails' ./...
	@for module in proxy/conformance/drivers proxy/sql/judge; do (cd $$module && go list ./... >/dev/null) || exit 1; done # what they require is in step

unit:
	go test $(UNIT)
