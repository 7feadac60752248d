# Each target works on a fresh clone with nothing but Python >= 3.11 and make; a second run reuses .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt
export SCIPY_ARRAY_API := 1

.PHONY: help demo test test-core test-lowest coverage mutate stress lint docs site-test bench gpu paper clean

help:
	@echo "make demo   LinearMAE beside PCA on real photographs: a table, and pictures in demo/"
	@echo "make test   the whole test suite and the doctests; FILE=tests/test_grid.py for a part"
	@echo "make coverage  the same, and which branches of skmae it takes: fails below the floor in pyproject.toml"
	@echo "make test-core    what can be tested with no extra installed, in an environment of its own"
	@echo "make test-lowest  all but PyTorch, with the oldest versions that pyproject.toml allows, likewise"
	@echo "make mutate  the closed form with one thing changed at a time: which changes no test notices (a quarter of an hour)"
	@echo "make stress random and damaged input, an hour of it; counts into benchmarks/results (ARGS=\"--only linear\" for a part)"
	@echo "make lint   ruff and mypy"
	@echo "make docs   the documentation, in docs/_build/html"
	@echo "make site-test  that site in a browser, and its links (needs make docs, chromium and chromedriver)"
	@echo "make bench  speed and memory against scikit-learn, into benchmarks/results (needs SKMAE_DATA)"
	@echo "make gpu    tests and speed on a CUDA device, in pieces that can be resumed, into benchmarks/results"
	@echo "make paper  the paper's figures anew, into benchmarks/results (needs SKMAE_DATA; hours)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("skmae needs Python >= 3.11; pass another one: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

# A stamp per group of libraries: they are installed once, and again when the requirements change.
$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[plot,photos]"
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[test]"
	touch $@

$(VENV)/.lint: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) ruff mypy
	touch $@

$(VENV)/.docs: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[docs]"
	touch $@

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py

# One process per core, one thread each: many small tests, which threads of their own would only slow down.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PYTEST := -m pytest --numprocesses logical
FILE ?=
test: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python $(PYTEST) $(FILE)

coverage: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python $(PYTEST) --cov

# Environments of their own: what is installed in .venv must not be found here.
CORE := $(VENV)-core
$(CORE)/.test: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(CORE)
	$(CORE)/bin/python -m pip install --quiet --constraint constraints.txt --editable . pytest pytest-xdist hypothesis
	touch $@

test-core: $(CORE)/.test
	$(ONE_THREAD) $(CORE)/bin/python $(PYTEST)

# Without PyTorch, whose threads do not survive the forks of mutmut.
$(CORE)/.mutate: $(CORE)/.test
	$(CORE)/bin/python -m pip install --quiet --constraint constraints.txt mutmut
	touch $@

mutate: $(CORE)/.mutate
	$(ONE_THREAD) $(CORE)/bin/python -m mutmut run
	$(CORE)/bin/python -m mutmut results

LOWEST := $(VENV)-lowest
$(LOWEST)/.test: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt \
		--editable ".[plot,dask,photos,stream,onnx]" array-api-strict h5py mpmath polars xarray pytest pytest-xdist hypothesis
	touch $@

test-lowest: $(LOWEST)/.test
	$(ONE_THREAD) $(LOWEST)/bin/python $(PYTEST)

ARGS ?=
stress: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m stress $(ARGS)

lint: $(VENV)/.test $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

$(VENV)/.site: $(VENV)/.docs
	$(INSTALL) selenium
	touch $@

site-test: $(VENV)/.site
	$(BIN)/python docs/check_site.py

bench: $(VENV)/.test
	$(BIN)/python benchmarks/fit.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/solvers.py
	$(BIN)/python benchmarks/wide.py
	$(BIN)/python benchmarks/stream.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/dask_workers.py
	$(BIN)/python benchmarks/cifar10_probe.py
	$(BIN)/python benchmarks/holes.py cifar10
	$(BIN)/python benchmarks/holes.py fixed
	$(BIN)/python benchmarks/holes.py pixels
	$(BIN)/python benchmarks/holes.py digits
	$(BIN)/python benchmarks/filling.py
	$(BIN)/python benchmarks/holes_training.py
	$(BIN)/python benchmarks/outliers.py
	$(BIN)/python benchmarks/outliers_kinds.py
	$(BIN)/python benchmarks/tokens.py cifar10
	$(BIN)/python benchmarks/tokens.py images64
	$(BIN)/python benchmarks/tokens.py holes
	$(BIN)/python benchmarks/tokens.py levels
	$(BIN)/python benchmarks/tokens.py cost
	$(BIN)/python benchmarks/tokens.py convolution
	$(BIN)/python benchmarks/tokens.py vit
	$(BIN)/python benchmarks/halving.py digits
	$(BIN)/python benchmarks/halving.py cifar10
	$(BIN)/python benchmarks/vit_speed.py
	$(BIN)/python benchmarks/vit_probe.py
	$(BIN)/python benchmarks/jacobian.py
	$(BIN)/python benchmarks/vit_cost.py
	$(BIN)/python benchmarks/folder.py

# Pieces under ten minutes, a CSV each: what is done, on this card, is skipped. ARGS="speed recipe" runs some of them.
gpu: $(VENV)/.test
	$(BIN)/python -m benchmarks.gpu $(ARGS)

# The paper's figures, hours of them; SCALE=gpu takes the paper's sizes. Trainings go on where they stopped.
SCALE ?= cpu
MODELS ?= benchmarks/models
DEEP := --scale $(SCALE) --models $(MODELS)
paper: $(VENV)/.test
	$(BIN)/python -m benchmarks.paper.fig03_autocorrelation
	$(BIN)/python -m benchmarks.paper.fig04_ising
	$(BIN)/python -m benchmarks.paper.fig04_sinusoids
	$(BIN)/python -m benchmarks.paper.fig05_influence
	$(BIN)/python -m benchmarks.paper.fig07_gabor
	$(BIN)/python -m benchmarks.paper.fig07_scan
	$(BIN)/python -m benchmarks.paper.depth_maps
	$(BIN)/python -m benchmarks.paper.fig08_jacobian $(DEEP)
	$(BIN)/python -m benchmarks.paper.fig08_jacobian $(DEEP) --data tiny-imagenet
	$(BIN)/python -m benchmarks.paper.fig10_grids $(DEEP)
	$(BIN)/python -m benchmarks.paper.fig10_grids $(DEEP) --finetune
	$(BIN)/python -m benchmarks.paper.fig10_grids $(DEEP) --along
	$(BIN)/python -m benchmarks.paper.fig10_grids $(DEEP) --control
	$(BIN)/python -m benchmarks.paper.fig12_finetune $(DEEP)
	$(BIN)/python -m benchmarks.paper.fig12_finetune $(DEEP) --memory
	$(BIN)/python -m benchmarks.paper.higher_orders $(DEEP) --seeds 0
	$(BIN)/python -m benchmarks.paper.appendix_b $(DEEP)
	$(BIN)/python -m benchmarks.paper.appendix_d_cka $(DEEP)
	$(BIN)/python -m benchmarks.paper.fig22_spectra
	$(BIN)/python -m benchmarks.paper.proxy
	$(BIN)/python -m benchmarks.paper.verdicts

clean:
	rm -rf $(VENV) $(CORE) $(LOWEST) mutants build demo docs/_build docs/generated docs/gallery docs/sg_execution_times.rst
