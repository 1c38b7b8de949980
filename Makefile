# Two commands matter: `make demo` and `make test`. Plain pip does; uv is used when it is there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
UV := $(shell command -v uv 2>/dev/null)
INSTALL := $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)
LOCK := $(if $(UV),$(UV),$(BIN)/uv) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
# Two files at a time: tests of real fleets mostly wait.
TWO_FILES := -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test check unit suite soak test-platforms bench docs surface pictures lock clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Argosy needs Python 3.11 or newer; set PYTHON=python3.12, say."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) ..."
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing the development extras ..."
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.runtime ## create .venv with what Argosy needs to run

setup-dev: $(VENV)/.dev ## the same with the development extras

demo: setup ## start a fleet, ask it about this project; ARGS=--exit stops it after the answer
	@$(BIN)/python scripts/demo.py $(ARGS)

test: setup-dev check suite ## everything CI runs

check: setup-dev ## format, lint, types, import rule, dependencies, docs; under 60 s
	@$(BIN)/ruff format --check --quiet . || { echo "Run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > $(VENV)/lint-imports.txt || { cat $(VENV)/lint-imports.txt; exit 1; }
	@$(BIN)/deptry --no-ansi . 2> $(VENV)/deptry.txt || { cat $(VENV)/deptry.txt; exit 1; }
	@$(BIN)/python scripts/configuration_page.py --check
	@$(BIN)/python scripts/check_voice.py
	@$(BIN)/python scripts/check_docs.py
	@echo "check: all good"

suite: setup-dev
	@$(BIN)/pytest $(TWO_FILES) $(ARGS)

unit: setup-dev ## the fast tests only
	@$(BIN)/pytest $(TWO_FILES) -m unit tests/unit $(ARGS)

soak: setup-dev ## the chaos tests three times in a row, then many rounds of what is killed while it writes
	@for round in 1 2 3; do echo "round $$round"; $(BIN)/pytest $(TWO_FILES) -m chaos $(ARGS) || exit 1; done
	@ARGOSY_SOAK=1 $(BIN)/pytest $(TWO_FILES) tests/chaos/test_cache_writes.py tests/chaos/test_ingestion*.py tests/integration/test_any_document.py tests/security/test_openapi.py $(ARGS)

test-platforms: setup-dev ## a language model run by llama.cpp; Ray, containers: none of them is a back end yet
	@ARGOSY_PLATFORMS=1 $(BIN)/pytest tests/integration/generation/test_llamacpp.py $(ARGS)

bench: setup-dev ## measure every published figure; with DATA=folder that holds traces/ also those on recorded load
	@for file in benchmarks/[a-z]*.py; do \
		given=; [ -z "$(DATA)" ] || ! grep -q '"--data"' $$file || given="--data $(DATA)"; \
		echo "$$file $$given"; $(BIN)/python $$file $$given || exit 1; done

docs: setup-dev ## write the pages that are derived from code, then check all links
	@$(BIN)/python scripts/configuration_page.py
	@$(BIN)/python scripts/check_docs.py

surface: setup-dev ## record the public surface again after an intended change: APIs, settings, metric names
	@$(BIN)/python -m tests.contract.surface

pictures: setup-dev ## draw the README's terminal session from a real run
	@$(BIN)/python scripts/terminal_picture.py

lock: $(BIN)/python ## resolve the dependencies anew
	@$(LOCK) --extra build --upgrade -o requirements.lock pyproject.toml
	@$(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## remove what make made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
