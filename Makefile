# `make help` lists what there is; each target does its own set-up in .venv (Python 3.11+).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := DAGSTER_HOME=$(CURDIR)/.demo_home exec $(BIN)/esg-pipeline demo
export DAGSTER_DISABLE_TELEMETRY := yes
.DEFAULT_GOAL := help

.PHONY: help demo ui fmt test test-fast mutants lint lock docs wheel image bench clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; call make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.run  ## Start the simulated firm, rate its accounts, show the result
	@$(DEMO)

ui: $(VENV)/.run  ## Dagster's page on the demo's world, until Ctrl-C; PORT=3100 chooses the port
	@$(DEMO) --ui $(if $(PORT),--port $(PORT))

fmt: $(VENV)/.dev  ## Format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev  ## Format, lint, types, no secrets
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	.ci/secrets

test: lint  ## Lint, types and all tests; TESTS=pattern: only those whose name matches
	$(BIN)/python -m pytest $(if $(TESTS),-k "$(TESTS)")

test-fast: $(VENV)/.dev  ## The tests that start no process and no server
	$(BIN)/python -m pytest -m "not servers" $(if $(TESTS),-k "$(TESTS)")

mutants: $(VENV)/.dev  ## Change one room in small ways, list what no test notices: make mutants ROOM=accounts
	@esg_pipeline_tests/mutants/run.sh "$(ROOM)" "$(FILE)" "$(TESTS)"

lock: $(VENV)/.dev  ## Renew the lock files (needs uv); UPGRADE=--upgrade takes the newest versions
	uv pip compile pyproject.toml $(UPGRADE) --extra build --universal --generate-hashes --no-emit-index-url --no-strip-extras --no-annotate --no-header -o requirements.lock
	uv pip compile pyproject.toml $(UPGRADE) --extra build --extra dev -c requirements.lock --universal --generate-hashes --no-emit-index-url --no-strip-extras --no-annotate --no-header -o requirements-dev.lock

docs: $(VENV)/.dev  ## Build the guides into site/
	$(BIN)/mkdocs build --strict

wheel: $(VENV)/.run  ## Build the wheel into dist/
	$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w dist .

image:  ## Build the image (needs docker); IMAGE=name:tag
	docker build -f deploy/kubernetes/Dockerfile -t $(or $(IMAGE),esg-pipeline) .

bench: $(VENV)/.run  ## Measure against others (needs Debian's nginx-light and libnginx-mod-http-echo)
	@test -x $(VENV)/peers/bin/python || $(PYTHON) -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip install -q --disable-pip-version-check -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.run --peers $(VENV)/peers/bin/python

clean:  ## Remove the environment and what was built
	rm -rf $(VENV) build dist *.egg-info
