# Every target sets up what it needs. `make` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test check unit bench bench-crash bench-edits bench-sandbox bench-soak bench-faults bench-consensus bench-harness bench-server docs docs-serve generate lock shots fuzz conformance editors
.PHONY: check-style check-format check-types check-layers check-house

bin := .venv/bin
runtime := .venv/.nightmill-runtime
dev := .venv/.nightmill-dev
sources := src tests bench scripts

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(dev) ## Set up .venv with everything that work on nightmill needs
	@echo 'setup: ready. Next: export PATH="$(CURDIR)/.venv/bin:$$PATH" && nightmill doctor'

demo: $(runtime) ## Run the main job on a real codebase, down to a pull request to look at
	@$(bin)/nightmill demo

test: $(dev) ## Set up, check the house, pass all tests
	@$(MAKE) --no-print-directory check
	@scripts/test

check: $(dev) ## Style, types, layers and the house's own rules; under 20 s
	@$(MAKE) --no-print-directory --keep-going --output-sync=target -j 2 check-types check-style check-format check-layers check-house

check-style: $(dev)
	@$(bin)/ruff check --quiet $(sources)

check-format: $(dev)
	@$(bin)/ruff format --check --quiet $(sources) || { echo "make: run .venv/bin/ruff format" >&2; exit 1; }

check-types: $(dev)
	@$(bin)/mypy --no-error-summary

check-layers: $(dev)
	@$(bin)/lint-imports > .venv/layers.log 2>&1 || { cat .venv/layers.log; exit 1; }

check-house: $(dev)
	@$(bin)/pytest tests/house

unit: $(dev) ## The quick tests, under 30 s
	@scripts/test quick

bench: $(dev) ## Measure, and write the table of the docs
	@$(bin)/python -m bench

bench-crash: $(dev) ## Kill a run at all its seeded moments and look what is left
	@$(bin)/python -m bench.crash

bench-edits: $(dev) ## Misquote real changes and look where edits land, ours and others'
	@$(bin)/python -m bench.edits

bench-sandbox: $(dev) ## Measure the sandbox beside what others use, and write its table of the docs
	@$(bin)/python -m bench.sandbox

bench-faults: $(dev) ## A thousand runs with faults at one turn in five, and what came of them
	@$(bin)/python -m bench.faults

bench-consensus: $(dev) ## The same tasks by solo, quick and deliver, with a developer who errs and reviewers who miss
	@$(bin)/python -m bench.consensus

bench-harness: $(dev) ## Measure the agents' loop beside other agents, which it fetches from npm and PyPI
	@$(bin)/python -m bench.harness

bench-server: $(dev) ## Two hundred who watch fifty runs, readers that do not read, a server that is killed, and one at rest
	@$(bin)/python -m bench.server

bench-soak: $(dev) ## Make, use and destroy 2,000 sandboxes and look what is left
	@$(bin)/python -m bench.sandbox soak

editors: $(dev) ## Have the client libraries of ACP, from npm, try nightmill acp
	@$(bin)/python -m scripts.editors

conformance: $(dev) ## Have the conformance suite of MCP, from npm, try a server of ours
	@$(bin)/python -m scripts.conformance

docs: $(dev) generate ## Build the documentation into site/, without a network
	@$(bin)/zensical build --strict --clean

docs-serve: $(dev) generate ## Serve the documentation, anew with each change
	@$(bin)/zensical serve

generate: $(dev) ## Write the reference and the drawing of the house from the code
	@$(bin)/python -m scripts.generate

lock: $(dev) ## Resolve requirements/*.txt again; UPGRADE=--upgrade takes newer versions
	@UPGRADE="$(UPGRADE)" scripts/lock

shots: $(dev) ## Take pictures of all pages, into shots/, and those of the docs; PAGE=report.html: that of a report alone
	@if test -n "$(PAGE)"; then $(bin)/python -m scripts.shots "$(PAGE)"; else $(bin)/python -m scripts.pages; fi

fuzz: $(dev) ## Ask a server for all that its OpenAPI file and its pages have, and for what they do not; EXAMPLES=50 of each
	@NIGHTMILL_EXAMPLES="$(or $(EXAMPLES),50)" $(bin)/pytest tests/server/test_contract.py tests/server/test_forms.py --timeout 7200

# The development environment holds what a run needs, so having it is enough for both.
$(runtime): requirements/runtime.txt requirements/uv.txt pyproject.toml scripts/bootstrap
	@if test -e $(dev); then $(MAKE) --no-print-directory $(dev) && touch $@; else scripts/bootstrap runtime; fi

$(dev): requirements/dev.txt requirements/uv.txt pyproject.toml scripts/bootstrap
	@scripts/bootstrap dev
