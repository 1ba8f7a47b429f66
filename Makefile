# Refinery: `make demo` shows it working, `make test` tests it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2
SEEDS ?= 0-499

.PHONY: demo test test-races test-seeds test-long lint bench docs clean help

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(STAMP): pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: $(STAMP) ## Run a swarm on a temporary project, offline
	$(BIN)/refinery demo

test: $(STAMP) ## Run the test suite
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not long and not races"

test-races: $(STAMP) ## Run the heaviest races, over every transport
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m races

test-seeds: $(STAMP) ## Run many interleavings: SEEDS=0-499, or one that failed, SEEDS=17
	SEEDS=$(SEEDS) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/e2e/test_interleavings.py

test-long: $(STAMP) ## Run the soak tests
	$(BIN)/python -m pytest -n $(JOBS) -m long
	SEEDS=$(SEEDS) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/e2e/test_interleavings.py

lint: $(STAMP) ## Format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP) ## Run every benchmark; ratios against a baseline of the same run
	$(BIN)/python -m benchmarks

docs: $(STAMP) ## Write the generated pages and the picture of the demo again
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/picture.py

clean: ## Remove what was installed and cached
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
