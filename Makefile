# make demo: set up and run the whole pipeline on the shipped data. make test: set up and run all tests.
PYTHON ?= python3
BIN := .venv/bin
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: demo test lint browser clean
demo: .venv/installed
	$(BIN)/clinical-lstm run experiment=demo

test: .venv/installed-dev lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

# The tests of the pages need a browser; without it they are skipped with a reason.
browser:
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium) \
	  || echo "no chromium: the page tests will be skipped"

clean:
	rm -rf .venv artifacts dist .pytest_cache .mypy_cache .ruff_cache
