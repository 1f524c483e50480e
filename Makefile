# `make run`, `make check` and `make test` set up .venv with the locked versions first; all can be repeated.
# The plain commands behind them are in README.md.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# All cores write the byte code, which pip would do by one; some packages have files for other versions of Python.
INSTALL := $(PIP) install --no-compile
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib uqdm uqdm_baselines || true
LOCK := requirements.lock
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# The first Python that will do; or choose one: make run PYTHON=/path/to/python3.12
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c "$(SUPPORTED)" 2>/dev/null && echo "$$python" && break; done)

# Snakemake keeps a cache in the home; where that cannot be written, it lies in the virtual environment.
CACHE = $(or $(XDG_CACHE_HOME),$(shell test -n "$$HOME" && mkdir -p "$$HOME/.cache" 2>/dev/null \
	&& test -w "$$HOME/.cache" && echo "$$HOME/.cache" || echo "$(CURDIR)/$(VENV)/cache"))

.PHONY: run check quick-tests test proofs lint site site-check lock clean-venv

# What the workflow prints at its end only where it had something to do, `uqdm bench show` prints always.
run: $(VENV)/.installed
	XDG_CACHE_HOME="$(CACHE)" $(BIN)/snakemake --cores all --no-hooks
	@$(BIN)/uqdm bench show

# Some files of tests at a time, the longest first (see tests/conftest.py). Tests of a cluster, of a workflow and of kills
# wait for most of their time, so that all tests take one process more than the quick ones.
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder

# While you work: all but the tests that need a cluster, a workflow, a browser or much time.
check: $(VENV)/.installed-test
	@$(MAKE) --no-print-directory --jobs=2 lint quick-tests

quick-tests: $(VENV)/.installed-test
	$(PYTEST) -n 2 -m "not (cluster or workflow or browser or slow or proof)"

test: lint
	$(PYTEST) -n 3

# Tests that take a minute or so each, and are left out of the others.
proofs: $(VENV)/.installed-test
	$(PYTEST) -n 3 -m proof

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow

# The documentation site in build/site: the plots and the report of a small run, the notebooks with their results, and all
# pages. `make site-check` builds it from what is there, and fails on a broken link.
SITE_RUN := results/site

site: $(VENV)/.installed-docs $(SITE_RUN)/report.html
	$(BIN)/python -m docs_tools.notebooks
	UQDM_SITE_RUN=$(SITE_RUN) NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

site-check: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(SITE_RUN)/report.html: | $(VENV)/.installed-docs
	$(BIN)/python -m docs_tools.demo_run $(SITE_RUN)

# The versions of .venv as they are now, for everyone. Local suffixes (+cpu) are no published versions.
lock: $(VENV)/.installed-test
	{ echo "# Versions that are known to work together; written by \`make lock\`, read by pip as constraints."; \
	  $(PIP) freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==' | grep -v '^uqdm==' | sed 's/+.*//'; } > $(LOCK).new
	mv $(LOCK).new $(LOCK)

clean-venv:
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml $(LOCK) | $(BIN)/python
	$(INSTALL) -c $(LOCK) -e ".[codecs]"
	@$(COMPILE)
	touch $@

$(VENV)/.installed-test: pyproject.toml $(LOCK) | $(BIN)/python
	$(INSTALL) -c $(LOCK) -e ".[codecs,test,docs]"
	@$(COMPILE)
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml $(LOCK) | $(BIN)/python
	$(INSTALL) -c $(LOCK) -e ".[codecs,docs]"
	touch $@ $(VENV)/.installed

$(BIN)/python:
	@"$(PYTHON)" -c "$(SUPPORTED)" 2>/dev/null || { \
	  echo "error: Python 3.11 to 3.13 is needed; found $$("$(PYTHON)" --version 2>&1 || echo none)." >&2; \
	  echo "Install one, and name it if it is not on the path: make run PYTHON=/path/to/python3.12" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
