# `make` alone lists what there is. Nothing is installed outside .venv, and nothing but `make image` and
# `make compose` needs root.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY   := $(VENV)/bin/python
WORKERS ?= 4
AXE  := tests/browser/node_modules/.package-lock.json
PIP  := $(PY) -m pip --disable-pip-version-check install -qq --require-hashes
LOCK := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.PHONY: run
run: $(VENV)/.installed ## run the whole relay on http://127.0.0.1:8000 (PORT=… changes that)
	@exec $(PY) -m relay serve

.PHONY: test
test: $(VENV)/.installed-dev $(AXE) ## run the tests but the long and the slow ones (WORKERS=4 at a time); say what was skipped, and why
	@$(PY) -m pytest -m "not timed and not long and not slow" -rs -n $(WORKERS) --dist loadfile $(ARGS)

.PHONY: test-long
test-long: $(VENV)/.installed-dev $(AXE) ## run those with processes, browsers and faults, and those that tell times (minutes)
	@$(PY) -m pytest -m "timed and not slow" -rs -n 2 --dist loadfile $(ARGS) || [ $$? = 5 ]
	@$(PY) -m pytest -m "long and not timed and not slow" -rs -n $(WORKERS) --dist loadfile $(ARGS)

.PHONY: test-slow
test-slow: $(VENV)/.installed-dev $(AXE) ## run the tests that take minutes
	@$(PY) -m pytest -m slow -rs $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.installed-dev ## throw thousands of bodies and raw requests at it (TEST_FUZZ=20000, TEST_SEED=…)
	@TEST_FUZZ=$${TEST_FUZZ:-20000} $(PY) -m pytest -m "not slow" -rs tests/web/test_fuzz_bodies.py tests/web/test_fuzz_sockets.py $(ARGS)

.PHONY: fuzz-guided
fuzz-guided: $(VENV)/.installed-lab ## let atheris look for ways in, guided by coverage (ARGS='--runs 100000'; an hour)
	@$(PY) -m tests.guided.run $(ARGS)

.PHONY: schema
schema: $(VENV)/.installed-dev ## have Schemathesis ask a running relay what its description allows (TEST_SCHEMA=50, TEST_SEED=…)
	@TEST_SCHEMA=$${TEST_SCHEMA:-50} $(PY) -m pytest -rs tests/web/test_schema.py $(ARGS)

.PHONY: sbom
sbom: $(VENV)/.installed-dev ## write build/sbom.cdx.json, the bill of materials of what is shipped (CycloneDX)
	@$(PY) .ci/sbom

.PHONY: check
check: $(VENV)/.installed-dev ## lint, formatting, types, and the files for deployment
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/hadolint Dockerfile
	@.ci/lint-deploy

.PHONY: faults
faults: $(VENV)/.installed-dev ## kill it, fill its disk, take its upstream away, and count (minutes)
	@$(PY) -m tests.faults.run $(ARGS)

.PHONY: scale
scale: $(VENV)/.installed-dev ## measure with a large backlog (minutes)
	@$(PY) -m benchmarks.scale $(ARGS)

.PHONY: pages
pages: $(VENV)/.installed-dev ## measure the operators' pages on a million rows (minutes)
	@$(PY) -m benchmarks.pages $(ARGS)

.PHONY: soak
soak: $(VENV)/.installed-dev ## run it for half an hour with faults, and see that nothing grows or is lost (ARGS='--minutes 10')
	@$(PY) -m benchmarks.soak $(ARGS)

.PHONY: bench
bench: $(VENV)/.installed-dev ## measure how fast it accepts and sends (minutes)
	@$(PY) -m benchmarks.run $(ARGS)

.PHONY: peers
peers: $(VENV)/.installed-lab benchmarks/peers/node_modules ## measure it beside what others use (an hour; installs 2 GB of them)
	@$(PY) -m benchmarks.peers.run $(ARGS)

.PHONY: docs
docs: $(VENV)/.installed-dev ## rewrite what is generated: docs/senders.md, docs/http.md
	@$(PY) -m tests.test_docs

.PHONY: image
image: $(VENV)/.installed-dev ## build the Dockerfile without an engine, and run it (root; minutes)
	@.ci/image

.PHONY: compose
compose: ## run the Compose files with a Docker of its own, after `make image` (root; minutes)
	@.ci/compose

.PHONY: site
site: $(VENV)/.installed-dev ## make a site of docs/ in build/site; needs no network
	@$(VENV)/bin/zensical build --clean --strict

.PHONY: screenshots
screenshots: $(VENV)/.installed-dev ## take the pictures in docs/images again (needs Chromium)
	@$(PY) -m docs.screenshots

.PHONY: lock
lock: $(VENV)/.installed-dev ## pin the requirements again (UPGRADE=--upgrade: to the newest)
	$(LOCK) $(UPGRADE) requirements.in -o requirements.txt
	$(LOCK) $(UPGRADE) requirements-dev.in -c requirements.txt -o requirements-dev.txt
	$(LOCK) $(UPGRADE) requirements-lab.in -c requirements-dev.txt -o requirements-lab.txt

.PHONY: clean
clean: ## remove .venv and caches; var/, where submissions are, stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

# --- what the targets above need ------------------------------------------------------------------

# The first Python that is new enough and can make virtual environments; PYTHON=… names another.
$(PY):
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    new="$$python"; \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	    echo "Making $(VENV) with $$("$$python" --version) …"; \
	    "$$python" -m venv --clear $(VENV) && exit 0; \
	    rm -rf $(VENV); exit 1; \
	done; \
	if [ -n "$$new" ]; then \
	    echo "$$new cannot make virtual environments; on Debian: apt-get install -y python3-venv" >&2; \
	else \
	    echo "The relay needs Python 3.11 or newer." >&2; \
	fi; exit 1

$(VENV)/.installed: requirements.txt | $(PY)
	@$(PY) -c 'import sys; sys.exit("The relay needs Python 3.11 or newer." if sys.version_info < (3, 11) else 0)'
	@echo "Installing what the relay needs (once; about 15 seconds) …"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt | $(VENV)/.installed
	@echo "Installing what tests and checks need (once; about a minute) …"
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-lab: requirements-lab.txt | $(VENV)/.installed-dev
	@echo "Installing what comparing and guided fuzzing need (once; about a minute) …"
	@$(PIP) -r requirements-lab.txt
	@touch $@

benchmarks/peers/node_modules: benchmarks/peers/package.json
	@npm install --silent --no-audit --no-fund --no-package-lock --legacy-peer-deps --prefix benchmarks/peers
	@touch $@

# The browser tests' one package; without npm they say what is missing.
$(AXE): export NODE_EXTRA_CA_CERTS ?= $(wildcard /etc/ssl/certs/ca-certificates.crt)
$(AXE): $(wildcard tests/browser/package-lock.json)
	@[ -z "$^" ] || ! command -v npm >/dev/null || \
	    npm ci --silent --no-audit --no-fund --fetch-retries 0 --prefix tests/browser || \
	    echo "npm could not fetch axe-core; the tests that need it will say so"
