# Each target makes its own .venv from the lock file; nothing but Python >=3.11 and make is needed.
.DEFAULT_GOAL := help
.PHONY: help venv demo test check fix soak bench states clean

SOAK_STEPS ?= 200000
# Twice as many as two cores: half of what is tested is other processes, which are waited for.
TEST_WORKERS ?= 4

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
# A bare environment has no HOME and no locale; what the tools need is said here.
export UV_CACHE_DIR ?= $(CURDIR)/var/uv-cache
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := true
export PYTHONUTF8 := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

venv: .venv/locked ## the virtual environment, from the lock file

.venv/locked: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit("imdsdash needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv sync --quiet --frozen --all-extras --active
	@touch $@

demo: venv ## the whole product on this machine, on a pretend AWS: http://127.0.0.1:8000
	@$(BIN)/python manage.py demo $(DEMO_ARGS)

test: venv ## every test; what is absent (browser, PostgreSQL, Redis) is skipped loudly, and fails when CI=true
	@$(BIN)/python -m tests.on_postgres
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

check: venv ## lint, types, floors, migrations, templates, compose, Dockerfile
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy imdsdash migration sandbox tests benchmarks deploy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py check --fail-level WARNING
	@$(BIN)/python manage.py states --check
	@$(BIN)/djade --target-version 5.2 --check $$(git ls-files 'templates/*.html')
	@$(BIN)/djlint templates --lint --quiet
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/cfn-lint deploy/*.yaml
	@$(BIN)/uv lock --check --quiet

fix: venv ## what can be mended by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/djade --target-version 5.2 $$(git ls-files 'templates/*.html')

states: venv ## docs/states.md from the transition tables
	@$(BIN)/python manage.py states

soak: venv ## the state machine for long: SOAK_STEPS=200000
	@IMDSDASH_SOAK_STEPS=$(SOAK_STEPS) $(BIN)/python -m pytest tests/stateful -q

bench: venv ## measurements as JSON, in var/bench/
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

clean: ## everything that is made, the demo's data included
	rm -rf .venv var .mypy_cache .ruff_cache .import_linter_cache
