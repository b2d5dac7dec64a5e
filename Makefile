# Needs python3 (3.11 or newer), make and git; everything else is installed into .venv.
PYTHON ?= python3
# Test processes at a time; each may run its own PostgreSQL and Apache Kafka.
WORKERS ?= 2
# More words for pytest, the benchmarks or the lock: make test ARGS="-k lead", make lock ARGS=--upgrade
ARGS ?=

BIN := .venv/bin
LOCKS := requirements/base.txt requirements/build.txt requirements/dev.txt requirements/postgres.txt
# The environment is as old as what it was made from: a changed file is a new stamp.
STAMP := .venv/stamp-$(shell cat $(LOCKS) pyproject.toml | cksum | tr ' ' '-')
# dbt, for its example, in an environment of its own.
DBT_STAMP := .venv/dbt/stamp-$(shell cksum < requirements/dbt.txt | tr ' ' '-')
COMPILE := $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate $(ARGS)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench kafka lock clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## install leadflow and its tools into .venv, from locked hashes
	@:

$(STAMP):
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; sys.exit(None if sys.version_info >= (3, 11) else "leadflow needs Python 3.11 or newer and $(PYTHON) is " + v + "; name another: make setup PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python cannot make virtual environments here; run this and try again:"; \
		echo "  sudo apt-get install -y $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
		exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@echo "Installing into .venv ..."
	@{ $(BIN)/pip install --quiet --require-hashes -r requirements/build.txt \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt; } \
		|| { echo "uv did not manage; pip takes over (slower)."; \
			$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt; }
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@rm -f .venv/stamp-* && touch $@
	@echo "Ready: .venv/bin/leadflow --help"

$(DBT_STAMP): $(STAMP)
	@$(PYTHON) -m venv --clear --without-pip .venv/dbt
	@$(BIN)/uv pip install --quiet --python .venv/dbt/bin/python --require-hashes -r requirements/dbt.txt \
		|| $(BIN)/pip --python .venv/dbt/bin/python install --quiet --require-hashes -r requirements/dbt.txt
	@touch $@

demo: setup ## simulate a market through a Kafka-protocol broker and answer questions about it
	@$(BIN)/leadflow demo

test: setup lint $(DBT_STAMP) ## check the code, then run every test
	@# Fetched here, or missed loudly here, so that no test's own time limit pays for it.
	@$(BIN)/python -m tests.kafka.fetch >/dev/null || test "$$CI" != true
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

lint: setup ## check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports

bench: setup ## measure, and print ratios against the baselines
	@$(BIN)/python -m tests.bench $(ARGS)

kafka: setup ## fetch Apache Kafka for the tests (Java 17 and Maven)
	@$(BIN)/python -m tests.kafka.fetch

lock: setup ## resolve the requirements anew, with hashes and without addresses
	@$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	@$(COMPILE) pyproject.toml --constraint requirements/dev.txt --output-file requirements/base.txt
	@$(COMPILE) pyproject.toml --constraint requirements/dev.txt --extra postgres --output-file requirements/postgres.txt
	@$(COMPILE) --constraint requirements/dev.txt --group pyproject.toml:build --output-file requirements/build.txt
	@$(COMPILE) --group pyproject.toml:dbt --output-file requirements/dbt.txt

clean: ## remove .venv, caches and build results
	rm -rf .venv build dist var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
