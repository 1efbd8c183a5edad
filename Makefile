# make run    creates .venv, installs, runs the default suite and says where the report lies
# make test   creates the same .venv with the tools of development and runs the tests that are not marked slow
# make test-all  runs all tests
# make check  lint and types
# make conjunctions      plants every condition by which libraries choose code as a fault, and 1 000 random
#                        conjunctions of them: what the suite correctness kills (minutes)
# make gpu-wheels        fills .gpu-wheels with what a machine with a CUDA device but no network may lack
# make gpu-wheels-check  tries them in a fresh environment without a network
# make gpu-check         checks and times the backends of CUDA devices within eight minutes (docs/gpu.md); the
#                        Python is PYTHON, the folder for the results OUTPUT, the time MINUTES

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt
SPREAD := -n auto --dist worksteal --durations=10
OUTPUT ?= gpu-check
MINUTES ?= 8

.PHONY: run test test-all check conjunctions clean gpu-wheels gpu-wheels-check gpu-check

run: $(VENV)/installed
	$(BIN)/python -m harness run suite

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(SPREAD) -m "not slow"

test-all: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(SPREAD)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

conjunctions: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench_conjunctions.py

gpu-wheels:
	"$(PYTHON)" .ci/gpu_wheels.py

gpu-wheels-check: $(VENV)/installed-dev
	$(BIN)/python .ci/gpu_wheels_check.py

gpu-check:
	"$(PYTHON)" .ci/gpu_check.py --output "$(OUTPUT)" --minutes "$(MINUTES)"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[torch]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
