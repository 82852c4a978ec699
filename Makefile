# `make run` and `make test` do all the set-up a fresh machine needs (Python 3.11+, gcc, make).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run test test-all lint evidence bench bench-peers bench-curves same-bytes clean

run: $(VENV)/.installed
	$(BIN)/cogitate run tiny --out runs/tiny

test: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest

test-all: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest -m ""

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

evidence: $(VENV)/.installed
	$(BIN)/python -m benchmarks.evidence

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.speed

bench-peers: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.peers

bench-curves: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.curves

# Whether a change of code has changed a number: `make same-bytes COMMIT=main`, in seconds with OPTIONS=--short.
same-bytes: $(VENV)/.installed
	$(BIN)/python -m benchmarks.same_bytes $(or $(COMMIT),HEAD) $(OPTIONS)

clean:
	rm -rf $(VENV) build src/*.egg-info

# torch goes first and by exact version: a range would let pip choose a CUDA build of several GB.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[test]'
	touch $@
