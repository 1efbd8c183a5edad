# make run    creates .venv, installs, runs the default suite and says where the report lies
# make test   creates the same .venv with the tools of development and runs the tests that are not marked slow
# make test-all  runs all tests (MARKERS: only those for which this expression of markers holds)
# make check  lint and types
# make coverage  runs the tests and says which lines they run, in processes that they start too (TESTS: which tests)
# make wheel  builds dist/*.whl and dist/*.tar.gz
# make lock   writes requirements*.lock anew from pyproject.toml and constraints.txt (docs/installation.md)
# make conjunctions      plants every condition by which libraries choose code as a fault, and 1 000 random
#                        conjunctions of them: what the suite correctness kills (minutes)
# make recipes           runs the recipes of docs/ci.md on changes of every kind and writes its table (half an hour)
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
TESTS ?=
MARKERS ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --constraint constraints.txt --custom-compile-command "make lock"

NEEDS := from harness.execution.environment_build import list_worker_needs; print(*list_worker_needs(), sep='\n')

.PHONY: run test test-all check coverage wheel lock conjunctions recipes clean gpu-wheels gpu-wheels-check gpu-check

run: $(VENV)/installed
	$(BIN)/python -m harness run suite

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(SPREAD) -m "not slow"

test-all: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(SPREAD) $(if $(MARKERS),-m "$(MARKERS)")

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(VENV)/installed-dev
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n auto $(TESTS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

wheel: $(VENV)/installed-dev
	$(PIP) --group build
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

lock: $(VENV)/installed-dev
	$(PIP) --group lock
	$(LOCK) --extra ci --extra learn --extra onnx --extra onnxruntime --extra openvino --group dev --group build --group lock -o requirements.lock
	$(BIN)/python -c "$(NEEDS)" | $(LOCK:pyproject.toml=-) -o requirements-worker.lock

conjunctions: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench_conjunctions.py

recipes: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench_recipes.py --write

gpu-wheels:
	"$(PYTHON)" .ci/gpu_wheels.py

gpu-wheels-check: $(VENV)/installed-dev
	$(BIN)/python .ci/gpu_wheels_check.py

gpu-check:
	"$(PYTHON)" .ci/gpu_check.py --output "$(OUTPUT)" --minutes "$(MINUTES)"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Compiled here once: where PYTHONDONTWRITEBYTECODE is set, every process of a run would compile all sources again.
$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(PIP) --editable '.[torch]'
	$(BIN)/python -m compileall -q harness backends suites reports
	touch $@

# pip knows dependency groups since 25.1; the one that a new environment brings may be older.
$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) 'pip>=25.1'
	$(PIP) --editable '.[ci,learn,onnx,onnxruntime,openvino,torch]' --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
