# Each target works on a fresh clone with nothing but Python >= 3.11 and make; a second run reuses .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt
export SCIPY_ARRAY_API := 1

.PHONY: help demo test lint docs bench clean

help:
	@echo "make demo   LinearMAE beside PCA on real photographs: a table, and pictures in demo/"
	@echo "make test   the whole test suite and the doctests"
	@echo "make lint   ruff and mypy"
	@echo "make docs   the documentation, in docs/_build/html"
	@echo "make bench  speed and memory against scikit-learn, into benchmarks/results (needs SKMAE_DATA)"

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

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.test $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

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
	$(BIN)/python benchmarks/vit_speed.py
	$(BIN)/python benchmarks/vit_probe.py
	$(BIN)/python benchmarks/influence.py
	$(BIN)/python benchmarks/jacobian.py
	$(BIN)/python benchmarks/vit_entropy.py --models benchmarks/models
	$(BIN)/python benchmarks/vit_grid.py --models benchmarks/models
	$(BIN)/python benchmarks/proxy.py
	$(BIN)/python benchmarks/vit_finetune.py --models benchmarks/models
	$(BIN)/python benchmarks/vit_finetune.py --models benchmarks/models --memory
	$(BIN)/python benchmarks/vit_grid.py --models benchmarks/models --finetune
	$(BIN)/python benchmarks/vit_findings.py
	$(BIN)/python benchmarks/vit_cost.py
	$(BIN)/python benchmarks/depth.py

clean:
	rm -rf $(VENV) build demo docs/_build docs/generated
