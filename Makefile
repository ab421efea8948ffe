# One door for all work: `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run dashboard test test-e2e test-api test-docker test-faults lint format bench bench-sandbox \
	bench-quality bench-api bench-ui screenshots browser lock secrets clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/:.*  ## /\t/' | expand -t 16

setup: $(READY)  ## Make .venv with the locked, hash-checked dependencies

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "WallTrack needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY)  ## Run a discovery, on the live market where a key is set, else on the sandbox
	@$(BIN)/walltrack discover

dashboard: $(READY)  ## Serve the dashboard of the API on this machine, at http://127.0.0.1:7860
	@$(BIN)/walltrack dashboard

lint: $(READY)  ## Check style, types and the import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## Put the code in its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint browser  ## Run lint and all tests
	@$(BIN)/python -m compileall -q src tests  # or each process of the tests compiles it, where python writes none
	$(BIN)/pytest -n 2 --no-loadscope-reorder

test-e2e: $(READY) browser  ## Click through the dashboard in a real browser
	$(BIN)/pytest -n 0 tests/e2e/ui

browser:  ## Install Debian's chromium for the tests in a browser, where it may be
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
		|| echo "chromium cannot be installed here: the tests in a browser will skip"

test-api: $(READY)  ## Ask the HTTP API 20,000 generated requests and more
	$(BIN)/python -m tests.api_fuzz

test-docker: $(READY)  ## Deploy with Docker Compose, crash, upgrade, roll back, back up; needs an engine
	@docker info >/dev/null 2>&1 || echo "test-docker: NO DOCKER ENGINE ANSWERS: everything is skipped" >&2
	WALLTRACK_TEST_CONTAINERS=1 $(BIN)/pytest -n 0 -p no:randomly -ra --durations 8 tests/docker

test-faults: $(READY)  ## Kill, stop and cut off serving processes, many times over
	$(BIN)/python -m tests.faults

bench: $(READY)  ## Print the figures that the project promises
	$(BIN)/python -m benchmarks

bench-sandbox: $(READY)  ## Print what runs find on 20 sandbox markets against their truth
	$(BIN)/python -m benchmarks.sandbox

bench-quality: $(READY)  ## Print how flags, profiles and scores stand to the sandbox's truth
	$(BIN)/python -m benchmarks.quality

bench-api: $(READY)  ## Print how fast the API answers at a million runs
	$(BIN)/python -m benchmarks.api

bench-ui: $(READY) browser  ## Print how fast the dashboard answers, and what closed sessions leave behind
	$(BIN)/python -m benchmarks.ui

screenshots: $(READY) browser  ## Write docs/screenshots/*.png anew
	$(BIN)/python -m tests.e2e.ui.screenshots

lock: $(READY)  ## Write the requirements locks anew from the .in files
	@for name in requirements requirements-build requirements-dev; do \
		$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --universal \
			--python-version 3.11 $$name.in -o $$name.txt || exit 1; \
	done

secrets:  ## Write the secrets of the containers, once; what is there is kept
	@deploy/make-secrets

clean:  ## Remove what was built; data/ is kept
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
