# `make run` and `make test` do all the set-up a fresh machine needs (Python 3.11+, gcc, make).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

# A .venv whose Python is gone, too old, or not the PYTHON that was asked for is made anew.
VERSION := -c 'import sys; print("%d.%d" % sys.version_info[:2])'
USABLE := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
ifneq ($(wildcard $(VENV)),)
  $(shell $(BIN)/python $(USABLE) 2>/dev/null || rm -rf $(VENV))
  ifneq ($(origin PYTHON),file)
    $(shell [ "$$($(PYTHON) $(VERSION))" = "$$($(BIN)/python $(VERSION))" ] || rm -rf $(VENV))
  endif
endif

.PHONY: run install test test-device test-slow test-release test-clients test-more-clients test-pages test-llama-cpp test-triton test-cluster test-more-cluster test-gpu test-all lint lint-style lint-types lint-imports docs evidence bench bench-peers bench-curves same-bytes clean

run: $(VENV)/.installed
	$(BIN)/cogitate run quick --out runs/quick
	@echo
	@echo "What to do next:"
	@echo "  open runs/quick/report.html in a browser"
	@echo "  $(BIN)/cogitate chat runs/quick/r1_zero"
	@echo "  $(BIN)/cogitate eval runs/quick/r1_zero"
	@echo "  $(BIN)/cogitate serve runs/quick/r1"
	@echo "  source $(BIN)/activate     # from then on plain \`cogitate\` works"

# Cogitate alone, for models and problems of one's own.
install: $(VENV)/.installed
	@echo "source $(BIN)/activate     # from then on plain \`cogitate\` works"

# Two at a time: many tests wait for processes that they kill or time. A file's tests share what they made. Those of devices
# change torch for their process. What hundreds of processes import is compiled once, whatever the environment says.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.installed-test
	@$(MAKE) --no-print-directory --jobs 2 lint test-device
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-device: $(VENV)/.installed-test
	PART=device $(BIN)/python -m pytest -m 'device and not slow' tests/on_device

# Half an hour: the complete recipe, a real model, kills at random moments, hostile programs in every sandbox.
test-slow: $(VENV)/.installed-test
	PART=device $(BIN)/python -m pytest -m 'slow and device' tests/on_device
	$(BIN)/python -m pytest -m 'slow and not device and not cluster'

# Two hours: base is pretrained again, kills at every change on disk, a thousand damaged files of each kind.
test-release: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m release

# With other people's clients, which are installed for it.
test-clients: $(VENV)/.installed-clients .venv-api-clients/.installed .venv-argilla/.installed
	$(BIN)/python -m pytest -m clients

test-more-clients: $(VENV)/.installed-test .venv-more-clients/.installed .venv-instructor/.installed
	$(BIN)/python -m pytest -m more_clients

# In a browser: Chromium must be there, as `chromium` or as COGITATE_CHROMIUM says.
test-pages: $(VENV)/.installed-pages
	$(BIN)/python -m pytest -m pages

# With llama.cpp, which is compiled for it: some minutes. COGITATE_LLAMA_CPP names another Python that has llama-cpp-python.
test-llama-cpp: $(VENV)/.installed-llama-cpp
	$(BIN)/python -m pytest -m llama_cpp

# Kernels of Triton, without a GPU: what they compute, run by Triton's interpreter, and that they compile for GPUs.
test-triton: $(VENV)/.installed-triton
	PART=compiled $(BIN)/python -m pytest -m triton tests/on_triton/test_compiled.py
	TRITON_INTERPRET=1 PART=interpreted $(BIN)/python -m pytest -m triton tests/on_triton/test_interpreted.py

# On clusters of Ray and with several trainers, which the tests start: five minutes. Two at a time, since they wait for processes.
test-cluster: $(VENV)/.installed-cluster
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'cluster and not slow'

# An hour: ten runs with five kills each, a link that is cut. COGITATE_VLLM_PYTHON names a Python that has vLLM
# (docs/cluster.md), without which its tests are skipped.
test-more-cluster: $(VENV)/.installed-cluster
	$(BIN)/python -m pytest -m 'cluster and slow'

test-all: test test-slow test-clients test-more-clients test-pages test-llama-cpp test-triton test-cluster test-more-cluster test-release

# On a machine with CUDA: five minutes at most, and a table of times.
test-gpu: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.gpu

lint: lint-types lint-style lint-imports

lint-types: $(VENV)/.installed-test
	$(BIN)/mypy

lint-style: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

lint-imports: $(VENV)/.installed-test
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "docs: site/index.html"

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
	rm -rf $(VENV) .venv-api-clients .venv-more-clients .venv-instructor .venv-argilla build dist site src/*.egg-info

# torch goes first and by exact version: a range would let pip choose a CUDA build of several GB. What comes is said.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) $(USABLE) || { echo "make: Cogitate needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) $(VERSION));" \
	    "name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python .ci/install_torch.py
	$(PIP) --editable '.[gguf,hub,serve,studio]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[test]'
	touch $@

$(VENV)/.installed-clients: $(VENV)/.installed-test
	$(PIP) --editable '.[clients]'
	touch $@

# Clients of the API have environments of their own: what they need must not decide what we need.
.venv-api-clients/.installed: tests/apps/serve/clients/requirements.txt
.venv-more-clients/.installed: tests/apps/serve/clients/requirements-more.txt
.venv-instructor/.installed: tests/apps/serve/clients/requirements-instructor.txt
.venv-api-clients/.installed .venv-more-clients/.installed .venv-instructor/.installed:
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# So has Argilla, which reads what the studio exports.
.venv-argilla/.installed: tests/apps/studio/clients/requirements.txt
	test -x .venv-argilla/bin/python || $(PYTHON) -m venv .venv-argilla
	.venv-argilla/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(VENV)/.installed-pages: $(VENV)/.installed-test
	$(PIP) --editable '.[pages]'
	touch $@

$(VENV)/.installed-cluster: $(VENV)/.installed-test
	$(PIP) --editable '.[cluster]'
	touch $@

# For vectors of 8 floats, which any machine of the last years has: some virtual machines announce instructions they have not.
$(VENV)/.installed-llama-cpp: $(VENV)/.installed-test
	[ -n "$$COGITATE_LLAMA_CPP" ] || CMAKE_ARGS=-DGGML_NATIVE=OFF $(PIP) --editable '.[llama-cpp]'
	touch $@

$(VENV)/.installed-triton: $(VENV)/.installed-test
	$(PIP) --editable '.[triton]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --editable '.[docs]'
	touch $@
