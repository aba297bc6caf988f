# Two commands are enough: `make run` and `make test`. Needed: Linux, Python 3.11 or newer with its
# venv module, and make.
#
# Each installs riskd as a wheel into a venv of its own, so that tests in $(DEV) never disturb a
# daemon that runs from $(RUN). Whatever else a venv holds is pinned and hashed in requirements/.
# Stamps in the venv say what has been done; the next time is quick.

PYTHON ?= python3
RUN := .venv
DEV := .venv-dev
ARGS :=
# Tests at a time. Most of those that start a daemon wait for it.
WORKERS := 4

ROOTS := actors adapters config supervisor tools
FILES := $(wildcard __init__.py __main__.py py.typed pyproject.toml README.md LICENSE) \
         $(shell find $(ROOTS) -name '*.py' -o -name paper.toml)
# A folder is newer once a file in it is gone: then the installed one has to go too.
FOLDERS := $(shell find $(ROOTS) -name __pycache__ -prune -o -type d -print)
# Part of a stamp's name, so that a venv made by another Python is made again.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)

# -P: the folder we stand in has packages named `config` and `tools`, which are nobody's business.
PIP := bin/python -P -m pip install --quiet --disable-pip-version-check --no-input
LOCKED := $(PIP) --require-hashes --only-binary :all:
BUILT := $(PIP) --no-index --no-deps --no-build-isolation --force-reinstall

.DELETE_ON_ERROR:
.PHONY: help run test check bench lock clean run-ready dev-ready

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

# riskd takes the shell's place, so that signals reach it. The stamp stays open under a shared lock
# for as long as it runs: that is how `unused` knows.
run: run-ready ## Set up, then run riskd in the foreground (ARGS="--config FILE" for your own)
	@exec 9<$(RUN)/installed && flock -s 9 && exec $(RUN)/bin/riskd run $(ARGS)

test: dev-ready ## Set up, then run the tests (ARGS="-k socket" for some of them)
	@$(DEV)/bin/pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: dev-ready ## Lint, format, types, house style, import direction
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy -p riskd
	$(DEV)/bin/python -P -m riskd.tools.tidy .
	$(DEV)/bin/python -P -m riskd.tools.layers .

bench: dev-ready ## Measure what the design promises
	@$(DEV)/bin/python -P -m riskd.tools.bench $(ARGS)

# --- setting up -----------------------------------------------------------------------------------

# One make at a time sets up a venv. The lock of its versions serves as the lock of the doing.
run-ready:
	@flock requirements/run.lock $(MAKE) -s $(RUN)/installed

dev-ready:
	@flock requirements/dev.lock $(MAKE) -s $(DEV)/installed

$(RUN)/installed: $(RUN)/locked-$(VERSION) $(FILES) $(FOLDERS)
	$(call install,$(RUN))

$(DEV)/installed: $(DEV)/locked-$(VERSION) $(FILES) $(FOLDERS)
	$(call install,$(DEV))

$(RUN)/locked-$(VERSION): requirements/build.lock requirements/run.lock
	$(call create,$(RUN),-r requirements/build.lock -r requirements/run.lock)

$(DEV)/locked-$(VERSION): requirements/dev.lock
	$(call create,$(DEV),-r requirements/dev.lock)

# $(call create,VENV,REQUIREMENTS) begins the venv anew, with the locked versions in it.
define create
	@$(able)
	@$(call unused,$(1))
	@echo "setting up $(1) with Python $(VERSION)"
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/$(LOCKED) $(2)
	@touch $@
endef

# $(call install,VENV) builds the wheel from a copy of the sources, so that nothing stale ships in it
# and two makes can't meet in one build/.
define install
	@$(call unused,$(1))
	@echo "installing riskd into $(1)"
	@rm -rf $(1)/source && mkdir $(1)/source && cp --parents $(FILES) $(1)/source
	@$(1)/$(BUILT) $(1)/source
	@rm -rf $(1)/source && touch $@
endef

# $(call unused,VENV) refuses to replace the files of a riskd that is running.
define unused
[ ! -e $(1)/installed ] || flock -n -x $(1)/installed true || \
  { echo "make: riskd runs from $(1), whose files would change: stop it first" >&2; exit 1; }
endef

define able
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
  { echo "make: $(PYTHON) is not Python 3.11 or newer: name one, as in make PYTHON=python3.12" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
  { echo "make: $(PYTHON) can't make a venv: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
endef

# --- for maintainers ------------------------------------------------------------------------------

COMPILE := .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --annotation-style line --custom-compile-command "make lock"

lock: ## Choose the newest versions and pin them, with hashes, in requirements/
	@$(able)
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/$(LOCKED) -r requirements/lock.lock
	echo uv | $(COMPILE) - -o requirements/lock.lock
	$(COMPILE) pyproject.toml -o requirements/run.lock
	$(COMPILE) pyproject.toml -c requirements/run.lock --extra dev -o requirements/dev.lock
	$(COMPILE) pyproject.toml -c requirements/run.lock \
	  --extra ccxt --extra fix --extra report -o requirements/extras.lock
	echo setuptools | $(COMPILE) - -c requirements/dev.lock -o requirements/build.lock
	rm -rf .venv-lock

clean: ## Remove what the other commands made
	@$(call unused,$(RUN))
	rm -rf $(RUN) $(DEV) .venv-dev* .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis
