# make demo and make test need Python (>= 3.11) and nothing else; both install into $(VENV).
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
OUT ?= demo

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS)

.PHONY: demo test test-all check format clean

demo: $(VENV)/installed  ## train and compare four potentials on the bundled data
	$(BIN)/multiace demo --out $(OUT)

test: $(VENV)/installed-dev  ## the tests (doctests too) with the runtime shape checker
	$(PYTEST)

test-all: $(VENV)/installed-dev  ## the slow tests too, with and without the shape checker
	MULTIACE_TYPECHECK=0 $(PYTEST) -m ""
	$(PYTEST) -m ""

check: $(VENV)/installed-dev  ## what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	MULTIACE_TYPECHECK=0 $(PYTEST) --quiet
	$(PYTEST)

format: $(VENV)/installed-dev  ## rewrite files in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove everything that the other targets made
	rm -rf $(VENV) .venv-ci build dist demo .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable ".[dev]"
	@touch $@ $(VENV)/installed
