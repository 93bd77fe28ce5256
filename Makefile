# Habilis: install, run, test. `make help` lists the targets.

PYTHON ?= python3
TEST_JOBS ?= 2
FUZZ_SECONDS ?= 600
EXTRAS ?= train,mcp,dev
# An index to take torch from. Where pip finds no CPU build by itself, this saves several GB on a machine without a GPU:
#   make install TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# One stamp for each cache folder, so that another HABILIS_CACHE gets its models too.
FETCHED := $(VENV)/.models-$(shell printf '%s' '$(or $(HABILIS_CACHE),$(HOME))' | cksum | cut -d ' ' -f 1)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install models run test bench soak fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile
	@echo "  settings: PYTHON=$(PYTHON) TEST_JOBS=$(TEST_JOBS) FUZZ_SECONDS=$(FUZZ_SECONDS) EXTRAS=$(EXTRAS) TORCH_INDEX=$(TORCH_INDEX) (an index for torch, e.g. its CPU builds)"

install: $(INSTALLED) $(FETCHED) ## make .venv, install Habilis in it, fetch the small models

run: install ## learn in the craft world
	@$(BIN)/habilis run --world craft

test: $(INSTALLED) $(FETCHED) ## tests, lint, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile

bench: install ## every benchmark in its quick form
	@for file in benchmarks/[a-z]*.py; do \
		name=$$(basename $$file .py); \
		echo "== $$name"; \
		$(BIN)/python -m benchmarks.$$name --quick || exit 1; \
	done

soak: $(INSTALLED) ## many programs of all sorts in one runner: nothing may grow (a quarter of an hour)
	$(BIN)/python -m tests.soak.programs --runs 10000

fuzz: $(INSTALLED) ## fuzz the host's side of the protocol for FUZZ_SECONDS
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
		$(BIN)/python -m pip install --editable ".[fuzz]" --constraint constraints.txt
	$(BIN)/python -m tests.fuzz.host --seconds $(FUZZ_SECONDS)

models: ## fetch the small models again
	@rm -f $(FETCHED)
	@$(MAKE) --no-print-directory $(FETCHED)

clean: ## remove what was built here (.venv too); your home and the model cache stay
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Habilis needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another one: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; \
		exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@if [ -n "$(TORCH_INDEX)" ]; then \
		echo "torch from $(TORCH_INDEX)"; \
		$(BIN)/python -m pip install "$$(grep '^torch==' constraints.txt)" --index-url "$(TORCH_INDEX)"; fi
	$(BIN)/python -m pip install --editable ".[$(EXTRAS)]" --constraint constraints.txt
	@touch $@

$(FETCHED): $(INSTALLED)
	$(BIN)/habilis models get minilm
	$(if $(findstring train,$(EXTRAS)),$(BIN)/habilis models get smollm2)
	@touch $@
