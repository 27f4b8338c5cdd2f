# The developers' targets, included by Makefile where nothing else is asked for.
# What stands behind `##` is what `make help` prints.
.PHONY: $(DEVELOPER_TARGETS)

help: ## lists these targets
	@echo "make             builds"
	@echo "make install     installs into the PostgreSQL of PG_CONFIG (default: pg_config)"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' tools/targets.mk | \
		awk -F '\t' '{ printf "make %-11s %s\n", $$1, $$2 }'

# Installs missing packages, builds and installs: the first step of everything that runs a server.
# The demo and scratch need a few packages only (nothing to test with, no browser).
demo scratch: PACKAGES = build run demo
ready:
	@tools/install-dependencies $(PACKAGES)
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@if [ -w "$$($(PG_CONFIG) --pkglibdir)" ]; then $(MAKE) --no-print-directory -s install; \
		else sudo $(MAKE) --no-print-directory -s install PG_CONFIG=$(PG_CONFIG); fi

check: ready ## runs every test, installing what is missing; ends with "N passed, N failed"
	@$(MAKE) --no-print-directory -j$$(nproc) unit-tests
	@tools/check

check-one: ready ## runs the tests of one name: make check-one T=join
	@test -n "$(T)" || { echo "usage: make check-one T=name" >&2; exit 2; }
	@$(MAKE) --no-print-directory -j$$(nproc) unit-tests
	@tools/check --only $(T)

demo: ready ## starts a private server with the examples and prints where to look
	@tools/demo start

demo-stop: ## stops the server of make demo and removes it
	@tools/demo stop

scratch: ready ## a private server with the extension loaded and psql open; removed at exit
	@tools/scratch

format: ## formats the C++ sources with clang-format 14
	@tools/format

lint: ## checks what the compiler does not: folder regimes, then cppcheck
	@tools/check_regimes
	@tools/lint

fuzz: ready ## random views and statements against the oracle: make fuzz SEED=7 SECONDS=60
	@tools/fuzz $(if $(SEED),--seed $(SEED)) --seconds $(or $(SECONDS),60) $(FUZZ_OPTIONS)

bench: ready ## what writers pay: no view, live views, triggers by hand, REFRESH: make bench EXTENSION=pg_ivm
	@bench/run --svg build/bench.svg $(foreach e,$(EXTENSION),--extension $(e)) $(BENCH_OPTIONS)
