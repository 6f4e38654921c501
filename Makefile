# make demo and make test need Python (>= 3.11) and, for the compiled kernels, a C++17 compiler; both
# install into $(VENV).
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
OUT ?= demo
PEERS ?= .venv-peers
BENCH ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/* csrc/include/*)
SAY_KERNELS := $(BIN)/python -c "from multiace.kernels.dispatch import select_kernels; print('kernels:', select_kernels().label)"
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

.PHONY: demo docs test test-all check format kernels wheel bench-cpu clean

demo: $(VENV)/installed  ## train and compare four potentials on the bundled data
	$(BIN)/multiace demo --out $(OUT)

test: $(VENV)/installed-dev  ## the tests, doctests too, with the runtime shape checker where shapes are
	$(PYTEST)

test-all: $(VENV)/installed-dev  ## the slow tests too; kernels on every instruction set
	$(PYTEST) -m ""
	MULTIACE_ISA=avx2 $(PYTEST) tests/kernels tests/program
	MULTIACE_ISA=baseline $(PYTEST) tests/kernels tests/program

docs: $(VENV)/installed-dev  ## site/index.html, every link checked
	$(BIN)/python -m website

check: $(VENV)/installed-dev  ## what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m website
	$(PYTEST)

format: $(VENV)/installed-dev  ## rewrite files in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

kernels: $(VENV)/installed  ## compile csrc/, as every target here does after a change

wheel: $(VENV)/installed-dev  ## dist/*.whl and sdist, their platform proven by auditwheel
	rm -rf dist build/unproven
	$(BIN)/python -m build --outdir build/unproven
	PATH="$(abspath $(BIN)):$$PATH" auditwheel repair --only-plat --plat manylinux_2_28_x86_64 --wheel-dir dist build/unproven/*.whl
	mv build/unproven/*.tar.gz dist

bench-cpu: $(PEERS)/mace/installed $(PEERS)/nequip/installed  ## against mace-torch and nequip; BENCH=--full for the grid
	$(PEERS)/mace/bin/python -m benchmarks.cpu.run --python mace=$(PEERS)/mace/bin/python --python nequip=$(PEERS)/nequip/bin/python $(BENCH)

clean:  ## remove everything that the other targets made
	rm -rf $(VENV) $(PEERS) .venv-ci build dist site src/multiace/kernels/cpu/lib demo .pytest_cache .ruff_cache .import_linter_cache .hypothesis .cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SOURCES) | $(VENV)/bin/python
	$(PIP) --editable .
	@$(SAY_KERNELS)
	@touch $@

$(VENV)/installed-dev: $(SOURCES) | $(VENV)/bin/python
	$(PIP) --editable ".[dev]"
	@$(SAY_KERNELS)
	@touch $@ $(VENV)/installed

$(PEERS)/%/installed: benchmarks/peers/%.txt $(SOURCES)
	$(PYTHON) -m venv $(PEERS)/$*
	$(PEERS)/$*/bin/python -m pip --disable-pip-version-check install --quiet --requirement benchmarks/peers/$*.txt
	$(PEERS)/$*/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable .
	@touch $@
