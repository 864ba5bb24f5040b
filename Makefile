# Everything a newcomer needs. `make` alone lists the targets.

PYTHON ?= python3
# Tests that run side by side; each keeps to one thread, so this is the number of cores in use.
JOBS ?= 2

# What `make bench` measures.
CONFIG ?= quickstart

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := core asr tts nmt lm commands
EDITABLE := -e packages/core[export,serve,wandb] $(foreach package,$(filter-out core,$(PACKAGES)),-e packages/$(package))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo loop test check format bench docs wheels

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## create .venv and install every package in it, editable, at the versions of constraints.txt

demo: $(STAMP)  ## make speech, train a recogniser on it, transcribe recordings it has never heard (about 5 minutes)
	$(BIN)/lightning run asr quickstart

loop: $(STAMP)  ## speak transcripts, train a recogniser on real, synthetic and both kinds of speech, print three WERs
	$(BIN)/python benchmarks/synthetic_loop.py

test: $(STAMP)  ## run every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

check: $(STAMP)  ## lint, formatting, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	$(BIN)/lint-imports

format: $(STAMP)  ## mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(STAMP)  ## measure training speed beside this machine's matrix product; CONFIG=NAME chooses what is trained
	$(BIN)/lightning run asr bench --config $(CONFIG)

docs: $(STAMP)  ## build the documentation in site/
	$(BIN)/python -m pip install -c constraints.txt --group docs
	$(BIN)/mkdocs build --strict --config-file docs/mkdocs.yml

wheels: $(STAMP)  ## build a wheel and a source distribution of every package in dist/
	for package in $(PACKAGES); do $(BIN)/python -m build --no-isolation --outdir dist packages/$$package || exit 1; done

$(STAMP): constraints.txt pyproject.toml $(wildcard packages/*/pyproject.toml)
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; sys.exit(v not in ("3.11", "3.12") and "s2s needs Python 3.11 or 3.12, and $(PYTHON) is " + v + ": make setup PYTHON=python3.12")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt --upgrade pip
	$(BIN)/python -m pip install -c constraints.txt --build-constraint constraints.txt --group dev $(EDITABLE)
	@# both are built here: deepspeed against the torch that is installed, kenlm by a compiler; their tests skip without them
	-$(BIN)/python -m pip install -c constraints.txt --no-build-isolation 'deepspeed>=0.19,<0.20'
	-$(BIN)/python -m pip install -c constraints.txt kenlm
	@# pyctcdecode asks for an older numpy than it needs, so it comes without what it asks for, which is here already
	-$(BIN)/python -m pip install -c constraints.txt --no-deps flashlight-text pygtrie pyctcdecode
	@touch $@
