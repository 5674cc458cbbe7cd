# Needs Python 3.11 or newer, git and make; everything else goes into .venv beside this file.
# PYTHON=… chooses another interpreter, EXTRAS=… what `make test` installs besides, ARGS=… goes to
# pytest and to the demo.

PYTHON ?=
EXTRAS ?= all
ARGS ?=

# An activated environment, or a user's pip settings, must not decide where things are installed.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq -c constraints.txt
# Stamps: the environment exists; it can run the program; it can run the checks.
MADE := .venv/.made
RUNTIME := .venv/.runtime
DEV := .venv/.dev
DOCS := .venv/.docs
CODE = $(wildcard vllm_watch tests scripts benchmarks)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check unit fix snapshots pictures monkey docs reference fuzz judge equal follow soak bench memory archive-data test-real clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME)  ## replay the packaged captures in the dashboard
	@$(BIN)/vllm-watch demo $(ARGS)

test: $(DEV)  ## format, lint, types, import rules, all tests
	@$(BIN)/ruff format --check --quiet $(CODE) \
		|| { echo 'Not formatted as above: run `make fix`.' >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/mypy --no-error-summary $(CODE)
	@$(BIN)/lint-imports
	@$(BIN)/pytest -n auto $(ARGS)

check: test  ## the same as test

unit: $(DEV)  ## only the tests; ARGS="tests/core -k states" selects some
	@$(BIN)/pytest -n auto $(ARGS)

fix: $(DEV)  ## fix what ruff can fix, and format
	@$(BIN)/ruff check --fix --quiet $(CODE); $(BIN)/ruff format $(CODE)

snapshots: $(DEV)  ## redraw the expected pictures of the screen: look at each before committing
	@$(BIN)/pytest -n auto --snapshot-update $(ARGS)

pictures: $(DEV)  ## redraw the pictures of the documentation from the real program
	@$(BIN)/python -m scripts.pictures $(ARGS)

reference: $(DEV)  ## write what is generated: docs/reference, docs/schemas, the tables of docs
	@$(BIN)/python -m scripts.reference
	@$(BIN)/python -m scripts.advice_ledger

docs: $(DOCS)  ## build the documentation as a site into site/; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo 'site/index.html'

monkey: $(DEV)  ## random keys, mouse events and sizes in a real terminal; ARGS="--seed 7 --live"
	@$(BIN)/python -m scripts.monkey $(ARGS)

fuzz: $(DEV)  ## read damaged logs; ARGS="--seconds 600"
	@$(BIN)/python scripts/fuzz.py $(ARGS)

judge: $(DEV)  ## compare findings with labels: hits, misses, false alarms per rule
	@$(BIN)/python -m scripts.judge $(ARGS)

follow: $(DEV)  ## 50 writer processes with rotation, a reader that is killed; ARGS="--files 10"
	@$(BIN)/python -m benchmarks.follow $(ARGS)

equal: $(DEV)  ## read each log in one block, line by line, in pieces, newest first, as a replay: compare
	@$(BIN)/python -m scripts.equality $(ARGS)

soak: $(DEV)  ## random things happen to followed logs; ARGS="--seconds 600"
	@$(BIN)/python -m scripts.soak $(ARGS)

bench: $(DEV)  ## measure every promised speed into benchmarks/results.md; ARGS=--quick: two minutes
	@$(BIN)/python -m benchmarks.bench $(ARGS)

memory: $(DEV)  ## a fleet for simulated days: memory, and alerts against what happened; ARGS="--hours 24"
	@$(BIN)/python -m benchmarks.memory $(ARGS)

archive-data: $(DEV)  ## thousands of logs archived by processes and by Dask, one killed; ARGS="--logs 300"
	@$(BIN)/python -m benchmarks.archive $(ARGS)

test-real: $(DEV)  ## compare with a real vLLM on the CPU (3 GB once, 30 to 45 minutes); ARGS="--only light,idle"
	@$(BIN)/python -m scripts.realvllm $(ARGS)

clean:  ## remove the environment, caches and built files
	@rm -rf .venv build dist site snapshot_report.html .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# Each candidate is run, not only found: a shim can exist without its Python, and Debian splits venv off.
$(MADE):
	@for python in $(PYTHON) python3.11 python3; do \
		if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			$$python -m venv --clear .venv && touch $@ && exit 0; exit 1; \
		fi; \
	done; \
	echo 'No Python 3.11 or newer with venv found: install python3.11 (Debian: and python3.11-venv) or pass PYTHON=/path/to/python.' >&2; exit 1

$(RUNTIME): pyproject.toml constraints.txt | $(MADE)
	@echo 'Installing vllm-watch and its dependencies into .venv (about half a minute, once) …'
	@$(PIP) -e .
	@touch $@

# The pip of Python 3.11 is too old for dependency groups.
$(DEV): pyproject.toml constraints.txt | $(MADE)
	@echo 'Installing vllm-watch and its development tools into .venv (about a minute, once) …'
	@$(PIP) --upgrade pip
	@$(PIP) -e '.[$(EXTRAS)]' --group dev
	@touch $(RUNTIME) $@

$(DOCS): $(DEV)
	@$(PIP) --group docs
	@touch $@
