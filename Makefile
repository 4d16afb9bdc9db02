.DEFAULT_GOAL := help
.PHONY: help demo test lint docs coverage lowest dist bench clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The versions to install; /dev/null stands for the newest of all.
CONSTRAINTS := constraints.txt
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# The lowest versions run with the lowest Python, whichever the other checks take.
LOWEST_PYTHON ?= python3.11
# The modules of tests in the order of conftest.py, the longest first.
IN_PARALLEL := --numprocesses auto --maxprocesses 8 --dist loadscope --no-loadscope-reorder

help:  ## Show this help.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## Learn a representation of digits out of place, set it beside what costs nothing, write a report.
	rm -rf runs/demo
	$(BIN)/dim train --recipe local-infonce --data placed-digits --epochs 20 --out runs/demo
	$(BIN)/dim evaluate runs/demo --layers Y,floors --metrics linear,mlp,knn,few-labels,bound
	$(BIN)/dim report runs/demo

test: lint  ## Check style, types and imports, then run all tests.
	$(BIN)/pytest $(IN_PARALLEL)

lint: $(READY)  ## Check style, types and the direction of imports.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(READY)  ## Build the documents into docs/_build/html; warnings are errors.
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "open docs/_build/html/index.html"

coverage: $(READY)  ## Run the tests and print which lines and branches they leave out (slower than make test).
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(IN_PARALLEL)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lowest: .venv-lowest/.ready  ## Run the tests with the lowest versions that pyproject.toml declares, on Python 3.11.
	.venv-lowest/bin/pytest $(IN_PARALLEL)

dist: $(READY)  ## Build the source archive and the wheel, then try the wheel in an environment of its own.
	rm -rf dist .venv-wheel
	$(BIN)/python -m build
	$(BIN)/python -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --constraint $(CONSTRAINTS) dist/*.whl
	cd .venv-wheel && bin/dim --version && bin/dim train --recipe local-infonce --data digits --epochs 1 --out run
	cd .venv-wheel && bin/dim evaluate run --metrics knn && bin/dim report run

bench: $(READY)  ## Time the training step: against plain PyTorch, by operator, of every recipe, compiled, with data on disk (half an hour).
	$(BIN)/python benchmarks/training_step.py --json runs/bench.json

clean:  ## Remove the environments, the tools' caches and what was built; runs stay.
	rm -rf $(VENV) .venv-lowest .venv-wheel .coverage* .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist docs/_build
	find src tests -name __pycache__ -prune -exec rm -rf {} +

# One call of pip resolves everything under the constraints, so the pinned PyTorch is the only one ever downloaded.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found; name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Creating the environment in $(VENV); PyTorch is a large download where no local copy is found."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[dev]"
	@touch $@

.venv-lowest/.ready: pyproject.toml constraints-lowest.txt
	$(LOWEST_PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable ".[dev]"
	@touch $@
