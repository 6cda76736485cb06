# TokenWatcher: `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-ready
STAMP := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DATA ?= data
PORT ?= 3000

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-versions check format bench docs requirements clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(STAMP) ## Build .venv with everything the server and its tests need from Python

$(RUNTIME): requirements/runtime.txt server/pyproject.toml sdk/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "TokenWatcher needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing TokenWatcher into $(VENV), every package checked against its hash ..."
	@$(PIP) --require-hashes -r requirements/runtime.txt
	@$(PIP) --no-build-isolation --no-deps -e sdk -e server
	@touch $@

$(STAMP): $(RUNTIME) requirements/dev.txt
	@echo "Installing what the tests and checks need ..."
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(RUNTIME) ## See it work: a made-up company's 90 days, and live traffic, on a throw-away instance
	@exec $(BIN)/tokenwatcher demo --port $(PORT)

serve: $(RUNTIME) ## Run an empty, private instance in ./data
	@exec $(BIN)/tokenwatcher serve --port $(PORT) --next-free-port --data-dir $(DATA)

test: $(STAMP) ## Run every test (brings Chromium where it can)
	@bash scripts/test.sh $(ARGS)

test-versions: $(STAMP) ## Test the SDK with the oldest supported libraries, and with frameworks
	@bash scripts/test_versions.sh $(ARGS)

check: $(STAMP) ## Format, lint, types, architecture, templates, spelling, dependencies
	@bash scripts/check.sh

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure (QUICK=1 for under a minute)
	@$(BIN)/python -m bench $(if $(QUICK),--quick)

docs: $(STAMP) ## Write the generated pages of docs/ anew
	@$(BIN)/python scripts/generate_docs.py

requirements: ## Compile the pinned, hashed requirements anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/runtime.txt requirements/runtime.in
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/dev.txt requirements/dev.in
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/oldest.txt requirements/oldest.in
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/adapters.txt requirements/adapters.in
	uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-strip-extras --no-emit-index-url --no-header -o requirements/pythons.txt requirements/pythons.in

clean: ## Remove the environment and what the tools left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist screenshots
