# Two commands on a fresh machine with Python 3.11 or newer, make and a Rust toolchain: `make demo`, `make test`.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
STEP := .ci/step
HOSTS := .venv-hosts
# Where the wheel of llama-cpp-python is kept, which is built from its source: about six minutes on two cores.
HOST_WHEELS ?= $(HOME)/.cache/rheostat/wheels
# Options of pytest for them: --no-skips where all of them must be there.
HOST_TESTS ?=

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# A toolchain that rustup has just installed is not on every shell's PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
# The interpreter that pyo3 builds for, in every cargo call: another one would compile everything again.
export PYO3_PYTHON := $(abspath $(BIN)/python)
# Tests and benchmarks read the wheel's code and no leftover of a directory.
unexport PYTHONPATH

RUST_SOURCES := $(shell find rust -name '*.rs') Cargo.toml Cargo.lock
PYTHON_SOURCES := $(shell find python -name '*.py' -o -name '*.pyi' -o -name 'py.typed' -o -name '*.np[yz]' \
	-o -name '*.json' -o -path 'python/rheostat/play/page.*')
WHEEL_SOURCES := $(RUST_SOURCES) $(PYTHON_SOURCES) pyproject.toml README.md LICENSE THIRD-PARTY.txt

##@ Use

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: install ## set up, then write text and sample recorded rows of a real model
	@$(BIN)/python examples/demo.py

test: install lint test-rust test-python ## set up, then run every test and every lint

##@ Parts

install: $(STAMPS)/wheel ## create .venv, build the release wheel into dist/, install it

wheel: install ## the same: the wheel is in dist/

lint: install ## formatters, clippy, rustdoc, licences, ruff, mypy, pyright, stubs against the module
	@cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 || { \
	  echo 'rheostat is linted with rustfmt and clippy; run: rustup component add rustfmt clippy' >&2; exit 1; }
	@$(STEP) 'cargo fmt' cargo fmt --check
	@$(STEP) 'cargo clippy' cargo clippy --locked --all-targets -- -D warnings
	@$(STEP) 'cargo clippy, Python module' cargo clippy --locked --all-targets --features python -- -D warnings
	@$(STEP) 'cargo doc' env RUSTDOCFLAGS='-D warnings' cargo doc --quiet --locked --no-deps
	@$(STEP) 'licences of the crates' .ci/third-party --check
	@$(STEP) 'ruff check' $(BIN)/ruff check .
	@$(STEP) 'ruff format' $(BIN)/ruff format --check .
	@$(STEP) 'mypy --strict' $(BIN)/mypy --strict python/rheostat python/_rheostat_command tests/typing_example.py
	@$(STEP) 'pyright' $(BIN)/basedpyright --level error
	@$(STEP) 'stubs' $(BIN)/python -m mypy.stubtest rheostat._rheostat --allowlist .ci/stubtest-allowlist

test-rust:
	@$(STEP) 'cargo test' cargo test --locked --profile tests

test-python: install
	@$(STEP) 'the installed wheel is what is tested' $(BIN)/python -c \
	  'import pathlib, rheostat; assert "site-packages" in pathlib.Path(rheostat.__file__).parts, rheostat.__file__'
	@$(STEP) 'pytest' $(BIN)/python -m pytest

fuzz: install ## random calls against naive twins and reference: 60 s of each of six, or SECONDS=; SEED=
	@$(STEP) 'build the targets' cargo build --quiet --locked --release --example fuzz
	@for target in chain rows stops; do \
	  $(STEP) "against the naive twins: $$target" cargo run --quiet --locked --release --example fuzz -- \
	    $$target --seconds $(or $(SECONDS),60) --seed $(or $(SEED),$$RANDOM); \
	done
	@for target in arrays chain stops; do \
	  $(STEP) "against the reference: $$target" $(BIN)/python tests/fuzz $$target \
	    --seconds $(or $(SECONDS),60) --seed $(or $(SEED),$$RANDOM); \
	done

soak: install ## a million calls, after which no memory and no reference is left: some minutes
	@$(STEP) 'a million calls' $(BIN)/python tests/soak.py 1000000

valgrind: install ## the Rust tests, random calls of the fuzz targets, a short Python session, under Valgrind: minutes
	@command -v valgrind >/dev/null || { echo 'on Debian: apt-get install valgrind' >&2; exit 1; }
	@$(STEP) 'Valgrind' .ci/check-memory

docs: $(STAMPS)/docs install ## the documentation site, in docs/_build/html
	@$(STEP) 'documentation' $(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet docs docs/_build/html

test-browser: install ## the playground in a real browser: needs Chromium
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  echo 'the playground is tested in Chromium; on Debian: apt-get install chromium' >&2; exit 1; }
	@$(STEP) 'pytest, in a browser' env RHEOSTAT_BROWSER=1 $(BIN)/python -m pytest --no-skips tests/browser

test-hosts: $(HOSTS)/.stamps/wheel ## the adapters, in their host programs: set up .venv-hosts, which takes minutes
	@$(STEP) 'the host programs are there' $(HOSTS)/bin/python .ci/check-hosts
	@$(STEP) 'pytest, the host programs' $(HOSTS)/bin/python -m pytest -rs $(HOST_TESTS) tests/integrations

bench-loop: $(HOSTS)/.stamps/wheel ## tokens per second in the host programs, with and without rheostat
	@env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(HOSTS)/bin/python benches/loop.py

bench: install ## every benchmark beside its peers; JSON in benches/results/
	@mkdir -p benches/results
	@$(STEP) 'benchmarks' $(BIN)/python -m pytest benches -o python_files='bench_*.py' --benchmark-only \
	  --benchmark-max-time=0.3 --benchmark-columns=min,median,rounds --benchmark-sort=name --benchmark-disable-gc \
	  --benchmark-json="benches/results/$$(date +%Y%m%dT%H%M%S).json"
	@$(STEP) 'bars' $(BIN)/python benches/bars.py

bench-quick: install
	@$(STEP) 'benchmarks, each checked and run once' $(BIN)/python -m pytest benches \
	  -o python_files='bench_*.py' --benchmark-disable
	@$(STEP) 'bars' $(BIN)/python benches/bars.py

bench-report: install ## docs/benchmarks.md and its pictures, measured here; installed peers join
	@$(STEP) 'report' $(BIN)/python benches/report.py

bench-counts: install ## instructions of each call against benches/counts.json; UPDATE=1 writes it
	@$(STEP) 'instruction counts' $(BIN)/python benches/counts.py $(if $(UPDATE),--update)

roofline: install ## the floors of this machine, and the work beside them
	@$(BIN)/python benches/roofline.py

bars: install ## the speed promised, as ratios within one run
	@$(BIN)/python benches/bars.py

model: install ## train the model in the box again, from the text of Python 3.11.7: some ten minutes
	@$(STEP) 'training' env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	  $(BIN)/python -m rheostat.lab.train --out python/rheostat/lab/weights.npz

conformance: install ## write the digests of all results anew, from the reference, and compare the wheel with them
	@$(STEP) 'the reference writes, the wheel agrees' $(BIN)/python -m rheostat.testing.conformance \
	  --write --file python/rheostat/testing/conformance.json

lock: $(STAMPS)/dev ## compile requirements-*.in to their .txt, with hashes
	@$(STEP) 'pip-tools, uv' $(BIN)/python -m pip install --quiet pip-tools uv
	@for name in dev docs hosts; do \
	  $(STEP) "pip-compile, $$name" $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url \
	    --no-emit-find-links --output-file=requirements-$$name.txt requirements-$$name.in; \
	done
	@for name in build test; do \
	  $(STEP) "uv, $$name: for every platform" $(BIN)/uv pip compile --quiet --universal --generate-hashes \
	    --python-version 3.11 --custom-compile-command 'make lock' --output-file requirements-$$name.txt \
	    requirements-$$name.in; \
	done

clean: ## remove what was built: .venv, .venv-hosts, dist, target, caches
	rm -rf $(VENV) $(HOSTS) dist target docs/_build benches/results .pytest_cache .mypy_cache .ruff_cache .benchmarks .hypothesis

$(STAMPS)/dev: requirements-dev.txt
	@python=$$(.ci/find-tools $(PYTHON)) && \
	  $(STEP) "environment ($$("$$python" --version))" "$$python" -m venv $(VENV)
	@$(STEP) 'development tools, by hash' $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --require-hashes -r requirements-dev.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/docs: requirements-docs.txt $(STAMPS)/dev
	@$(STEP) 'documentation tools, by hash' $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --require-hashes -r requirements-docs.txt
	@touch $@

$(STAMPS)/wheel: $(STAMPS)/dev $(WHEEL_SOURCES)
	@.ci/find-tools $(BIN)/python >/dev/null
	@rm -f dist/rheostat-*.whl
	@$(STEP) 'release wheel (the first build takes about a minute)' $(BIN)/maturin build --quiet --release --locked --interpreter $(BIN)/python --out dist
	@$(STEP) 'install the wheel' $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --force-reinstall --no-deps dist/rheostat-*.whl
	@touch $@

$(HOSTS)/.stamps/hosts: requirements-hosts.txt $(STAMPS)/dev
	@$(STEP) 'environment of the host programs' $(BIN)/python -m venv $(HOSTS)
	@$(STEP) 'llama-cpp-python' .ci/llama-wheel $(HOSTS)/bin/python $(HOST_WHEELS)
	@$(STEP) 'the other host programs, by hash' $(HOSTS)/bin/python -m pip install --quiet \
	  --disable-pip-version-check --no-deps --require-hashes -r requirements-hosts.txt
	@mkdir -p $(HOSTS)/.stamps && touch $@

$(HOSTS)/.stamps/wheel: $(HOSTS)/.stamps/hosts $(STAMPS)/wheel
	@$(STEP) 'install the wheel' $(HOSTS)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --force-reinstall --no-deps dist/rheostat-*.whl
	@touch $@

.PHONY: help demo docs test install wheel lint test-rust test-python test-browser test-hosts
.PHONY: bench bench-loop bench-quick bench-report bench-counts roofline bars model conformance lock clean
.PHONY: fuzz soak valgrind
