# Every target does its own set-up, in .venv, and needs nothing but Python and make. The set-up runs once;
# it runs again when settings.ini or constraints.txt changes. CONTRIBUTING.md has the lines for those without make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
FACTS := settings.ini constraints.txt setup.py pyproject.toml
torch := $(shell sed -n 's/^torch==//p' constraints.txt)
min := $(shell sed -n 's/^min_python *= *//p' settings.ini)
max := $(shell sed -n 's/^max_python *= *//p' settings.ini)
$(shell [ -x $(BIN)/python ] || rm -f .venv/runtime .venv/dev .venv/lab .venv/docs) # no Python, or one upgraded away: install again

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1:/p' Makefile | while IFS=: read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done

demo: .venv/runtime ## check every gradient, train a network with them, let it read pictures of digits
	@$(BIN)/mlfound demo

test: .venv/docs ## every check there is: generated files, packaging, the site in a browser, all notebooks
	@$(BIN)/python tests/run.py

lab: .venv/lab ## open the notebooks in JupyterLab
	@$(BIN)/jupyter trust nbs/*.ipynb >/dev/null # or Jupyter would not show their figures until they run
	@cd nbs && ../$(BIN)/jupyter lab

FOLDER ?= mlfound-workbook
workbook: .venv/lab ## write the exercises into mlfound-workbook/, or FOLDER=…, and open them in JupyterLab
	@$(BIN)/mlfound workbook "$(FOLDER)"
	@$(BIN)/jupyter lab --notebook-dir="$(FOLDER)"

docs: .venv/docs ## build the site into _site/
	@$(BIN)/python docs/build.py

docs-serve: .venv/docs ## build the site, show it at http://127.0.0.1:8000 and build it again when something changes
	@$(BIN)/python docs/build.py --serve

outputs: .venv/dev ## run all notebooks afresh and save what they print; export, clean, write the README
	@$(BIN)/nbdev_export
	@$(BIN)/python docs/workbook.py
	@$(BIN)/python docs/overview.py
	@$(BIN)/python docs/journey.py
	@$(BIN)/python docs/outputs.py
	@$(BIN)/nbdev_clean
	@$(BIN)/python docs/folds.py
	@$(BIN)/python docs/readme.py

bench: .venv/runtime ## time the library against PyTorch
	@$(BIN)/python benchmarks/run.py
	@$(BIN)/python benchmarks/tape.py
	@$(BIN)/python benchmarks/training.py
	@$(BIN)/python benchmarks/scale.py
	@$(BIN)/python benchmarks/doctor.py
	@$(BIN)/python benchmarks/conv.py
	@$(BIN)/python benchmarks/attention.py
	@$(BIN)/python benchmarks/attention_training.py
	@$(BIN)/python benchmarks/compiler.py
	@$(BIN)/python benchmarks/playground.py

clean: ## remove what these targets made, .venv included
	rm -rf .venv .fastcore2 build dist *.egg-info _proc _site .pytest_cache mlfound-demo
	find . -name __pycache__ -prune -exec rm -rf {} +

.DELETE_ON_ERROR:
.PHONY: help demo test lab workbook docs docs-serve outputs bench clean

$(BIN)/python:
	@$(PYTHON) -c '' 2>/dev/null || { echo 'mlfound: "$(PYTHON)" does not run. Install Python $(min) or newer, or name one: make $(MAKECMDGOALS) PYTHON=python$(max)'; exit 1; }
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; n = lambda s: [int(p) for p in s.split(".")]; n("$(min)") <= n(v) <= n("$(max)") or \
	sys.exit("mlfound: needs Python $(min) to $(max), but $(PYTHON) is " + v + ". Name another: make $(MAKECMDGOALS) PYTHON=python$(max)")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo 'mlfound: $(PYTHON) comes without venv. On Debian and Ubuntu: sudo apt install python3-venv'; exit 1; }
	@$(PYTHON) -m venv --clear .venv

.venv/runtime: $(FACTS) | $(BIN)/python
	@echo "mlfound: installing PyTorch $(torch) (the first time: 200 MB or more to download, some minutes)"
	@$(PIP) torch
	@echo "mlfound: installing the library and what it requires (the first time: about a minute)"
	@$(PIP) --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/runtime
	@echo "mlfound: installing nbdev and the test tools (the first time: about a minute)"
	@$(PIP) --no-build-isolation -e ".[dev]"
	@$(BIN)/python tests/run.py --fetch
	@touch $@

.venv/lab: .venv/dev
	@echo "mlfound: installing JupyterLab (the first time: about a minute)"
	@$(PIP) jupyterlab ipykernel
	@touch $@

.venv/docs: .venv/dev docs/package-lock.json
	@echo "mlfound: installing what builds the site (the first time: about a minute)"
	@$(PIP) --no-build-isolation -e ".[docs]"
	@mkdir -p .venv/npm && cp docs/package.json docs/package-lock.json .venv/npm
	@$(BIN)/npm ci --silent --ignore-scripts --no-audit --no-fund --prefix .venv/npm
	@touch $@
