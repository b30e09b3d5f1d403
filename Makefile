# The two commands that matter are `make demo` and `make test`; both do the set-up first and may be repeated.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Without byte code every node would compile every import at every start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
READY := .venv/.set-up-done
REPORTS := .pytest_cache/reports
PARTS := lint types imports proto-check unit lab-test

.PHONY: help set-up demo demo-down test $(PARTS) contracts explore bench clean

help:
	@echo "make demo       a cluster of three node processes on this machine, with a service that survives their loss"
	@echo "make demo-down  end it"
	@echo "make test       every test that this machine can run; its parts: $(PARTS)"
	@echo "make bench      the figures of bench/README.md"
	@echo "make explore    the property tests with examples that nobody has tried yet"
	@echo "make set-up     what both need, in .venv"
	@echo "make clean      remove what all of these made"

set-up: $(READY)

$(READY): pyproject.toml deploy/set-up.sh
	@sh deploy/set-up.sh $(READY)

demo: $(READY)
	@sh deploy/demo.sh

demo-down:
	@if [ -x $(BIN)/clusterctl ]; then $(BIN)/clusterctl lab down; fi

test: $(READY)
	@sh deploy/system-parts.sh tests
	@rm -rf $(REPORTS); mkdir -p $(REPORTS)
	@for part in $(PARTS); do \
	  echo "== $$part"; \
	  $(MAKE) --no-print-directory $$part || { echo "make test failed in '$$part': see above, repeat with 'make $$part'." >&2; exit 1; }; \
	done
	@echo "== skipped on this machine"; cat $(REPORTS)/*.log | grep '^SKIPPED' || echo "nothing"

lint: $(READY)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet

types: $(READY)
	@$(BIN)/mypy

imports: $(READY)
	@$(BIN)/lint-imports

proto-check: $(READY)
	@cd protos && ../$(BIN)/buf lint
	@$(BIN)/pytest -q tests/contracts/test_generated_code.py

contracts: $(READY)
	@$(BIN)/pytest -q tests/contracts

explore: $(READY)
	@$(BIN)/pytest -q -n 2 --hypothesis-profile=explore $$(grep -rl --include='test_*.py' '@given' tests)

unit: $(READY)
	@mkdir -p $(REPORTS)
	@$(BIN)/pytest -q -n 2 -m "not lab" -rs 2>&1 | tee $(REPORTS)/unit.log

lab-test: $(READY)
	@mkdir -p $(REPORTS)
	@$(BIN)/pytest -q -m lab -rs 2>&1 | tee $(REPORTS)/lab.log

bench: $(READY)
	@$(BIN)/python -m bench

clean: demo-down
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	@find clusterd resource_types tests -name __pycache__ -type d -prune -exec rm -rf {} +
