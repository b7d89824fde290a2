# Rundial. The two commands to know: `make demo` and `make test`.
#
#   make demo     train a small network and see every point of it in a server    (installs .[demo])
#   make test     lint, types and every test; the last line is pytest's own      (installs .[dev])
#   make test-integrations  train with the real frameworks on the CPU, in an environment of their own
#   make check    lint, formatting and types only
#   make faults   the tests that kill, starve and cut off real processes, 20 times as many rounds; writes docs/faults.md
#   make stress   only the races, under a small switch interval
#   make fuzz     mutate requests to the server under coverage guidance for 10 minutes; ARGS=-max_total_time=60
#   make bench    measure speed and memory beside bounds; ARGS="--quick call" measures less (tests/perf)
#   make mutants  try small defects in what must not lose a record; ARGS='"rundial.spool.*"' tries fewer (hours)
#   make docs     build the documentation into site/
#   make clean    remove .venv and what the tools leave behind
#
# Settings:  PYTHON=python3.12 (to make .venv with, 3.10 or later)   VENV=.venv   WORKERS=2   ARGS="..."

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
FAULT_SCALE ?= 20
FRAMEWORKS ?= .venv-integrations
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
# Where this is set, each of the hundreds of processes that the tests start would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
# -rs names every group of tests that this machine cannot run, with the reason.
PYTEST := $(BIN)/python -m pytest -q -rfEs -n $(WORKERS) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help demo test test-integrations check faults stress fuzz bench mutants docs clean

help:
	@sed -n '3,15p' $(firstword $(MAKEFILE_LIST)) | sed 's/^# \{0,3\}//'

demo: $(VENV)/.installed-demo
	@$(BIN)/rundial demo $(ARGS)

# Lint and types do not stop the tests: one run tells everything, and pytest has the last word.
test: $(VENV)/.installed-dev
	@status=0; \
	$(MAKE) --no-print-directory check || { status=1; echo "make check failed: see above; the tests follow"; }; \
	$(PYTEST) -m "not stress and not integrations" || status=1; \
	exit $$status

# Another environment: the frameworks are large, and none of them may be needed by what `make test` runs.
test-integrations: $(FRAMEWORKS)/.installed
	@$(FRAMEWORKS)/bin/python -m pytest -q -rfEs -n $(WORKERS) -m integrations tests/integrations $(ARGS)

check: $(VENV)/.installed-dev
	@status=0; \
	$(BIN)/python -m ruff check --quiet . || status=1; \
	$(BIN)/python -m ruff format --check --quiet . || { status=1; echo "not formatted: run $(BIN)/ruff format ."; }; \
	$(BIN)/python -m mypy --no-error-summary || status=1; \
	$(BIN)/python -m tests.web.tools.types || status=1; \
	exit $$status

faults: $(VENV)/.installed-dev
	@FAULT_SCALE=$(FAULT_SCALE) $(PYTEST) --write-fault-page tests/fault tests/property/test_ledger.py

stress: $(VENV)/.installed-dev
	@$(PYTEST) -m stress

fuzz: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.fuzz -max_total_time=600 -print_final_stats=1 $(ARGS)

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.perf $(ARGS)

# Remembers its verdicts in mutants/; `mutmut results` and `mutmut show NAME` tell of those that survived.
mutants: $(VENV)/.installed-dev
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/mutmut run --max-children $(WORKERS) $(ARGS)

docs: $(VENV)/.installed-dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html"

clean:
	rm -rf $(VENV) $(FRAMEWORKS) site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants

# A stamp inside the environment says what is installed; a newer pyproject.toml makes it stale.
# The development environment holds all that the demo needs, so the demo accepts it as it is.
$(VENV)/.installed-demo: pyproject.toml | $(BIN)/python
	@if [ $(VENV)/.installed-dev -nt pyproject.toml ]; then :; else \
	echo "installing Rundial and what the demo needs into $(VENV)"; $(PIP) install -e '.[demo]'; fi
	@touch $@

$(VENV)/.installed-dev: pyproject.toml tests/web/tools/package-lock.json | $(BIN)/python
	@echo "installing Rundial and its development tools into $(VENV)"
	@$(PIP) install -e '.[dev]'
	@$(BIN)/python -m tests.web.tools.npm
	@touch $@

# Where the index has a build of torch for the CPU alone, its version is the higher one.
$(FRAMEWORKS)/.installed: pyproject.toml
	@echo "installing Rundial and the frameworks that it works with into $(FRAMEWORKS)"
	@"$(PYTHON)" -m venv --clear $(FRAMEWORKS)
	@$(FRAMEWORKS)/bin/python -m pip --disable-pip-version-check --no-input --quiet install -e '.[test-integrations]'
	@touch $@

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "$(PYTHON) is not on PATH. Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	echo "Rundial needs Python 3.10 or later and $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear $(VENV) || { rm -rf $(VENV); \
	echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
