# Everything a person types. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# every process trains with one thread; the cores are used by running clients side by side
export OMP_NUM_THREADS := 1
# some images switch compiled modules off, and every process would compile fedzda anew
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test test-min test-312 lint format bench bench-gpu tables docs wheel clean

help:  ## list the commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

install: $(VENV)/.installed  ## make .venv with the pinned set

demo: install  ## Fed-ZDAC beside FedAvg on digits, about a minute
	$(BIN)/fedzda demo

# a file stays with one worker, so that what its tests share is made once; long files come first
test: install  ## all tests that need neither a GPU nor hours
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: install  ## style and types
	$(BIN)/ruff format --check fedzda tests benchmarks tools
	$(BIN)/ruff check fedzda tests benchmarks tools
	$(BIN)/mypy

format: install  ## let ruff write the style
	$(BIN)/ruff format fedzda tests benchmarks tools
	$(BIN)/ruff check --fix fedzda tests benchmarks tools

bench: install  ## speed and memory, printed as tables
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/partition.py
	$(BIN)/python benchmarks/engine.py

bench-gpu: install  ## clients per second on a GPU, against Flower's stock engine
	$(BIN)/python -m pytest -m gpu tests/gpu
	$(BIN)/python benchmarks/gpu.py

tables: install  ## tables of docs pages from the results that are committed
	$(BIN)/python benchmarks/fed_zda.py --table digits
	$(BIN)/python benchmarks/fair_zda.py
	$(BIN)/python benchmarks/data_free.py --table
	$(BIN)/python benchmarks/incremental.py --table mnist --table federated --table cifar10-short
	$(BIN)/python benchmarks/diffusion.py --table frdiff tdq
	$(BIN)/python benchmarks/hypercon.py --table
	$(BIN)/python benchmarks/devices.py --table
	$(BIN)/python benchmarks/restoration.py --table denoise --table sr

docs: tables  ## the documentation site in site/, with its references
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

wheel: install  ## build sdist and wheel into dist/
	$(BIN)/python -m build --outdir dist

# what shows whether the versions around fedzda fit: methods, models, data, configuration, files
CORE := tests/unit/strategies tests/unit/clients tests/unit/compression tests/unit/platform/config \
	tests/unit/platform/data tests/unit/platform/compare tests/unit/platform/test_checkpoint.py \
	tests/unit/platform/test_export_records.py tests/unit/platform/test_plot.py \
	tests/unit/platform/test_cli.py tests/unit/platform/deployment

test-min:  ## core tests with the lowest versions of constraints-min.txt, in .venv-min
	$(PYTHON) -m venv .venv-min
	.venv-min/bin/python -m pip install --quiet -c constraints-min.txt -e '.[export]' pytest 'pytest-timeout>=2.3'
	.venv-min/bin/python -m pytest $(CORE)

PYTHON312 ?= python3.12
test-312:  ## core tests with the pinned set on Python 3.12, in .venv-312
	$(PYTHON312) -m venv .venv-312
	.venv-312/bin/python -m pip install --quiet -c constraints.txt -e '.[export]' pytest 'pytest-timeout>=2.3'
	.venv-312/bin/python -m pytest $(CORE)

clean:  ## remove what was built
	rm -rf $(VENV) .venv-min .venv-312 dist build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
