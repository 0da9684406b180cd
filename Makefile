# The front door: `make train`, `make test`. Each makes .venv first where it is missing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: install install-dev train test lint types check clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -e .
	touch $(STAMP)

install-dev: $(DEV_STAMP)

# With it what tests, sweeps, clusters, statistics and explanations need (the extras of pyproject.toml).
$(DEV_STAMP): $(STAMP)
	$(PIP) -e ".[dev]"
	touch $(DEV_STAMP)

train: install
	$(BIN)/regime-gym train

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev
	$(BIN)/mypy

check: lint types

test: check
	@# numba does not notice a change in a file that its compiled file imports.
	@find regimegym -name "*.nb[ic]" -delete
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
