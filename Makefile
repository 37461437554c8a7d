# Everything runs in .venv, which `setup` makes from the hash-locked requirements, and makes again
# only when these, or a pyproject.toml, change. PYTHON=... names the Python to make it from.

# Processes that run tests.
JOBS ?= 2
# What `make test` and `make bench` run.
TESTS ?=
BENCH ?= hop

BIN := .venv/bin
PACKAGES := shared $(patsubst %/pyproject.toml,%,$(wildcard services/*/pyproject.toml))
LOCKED := requirements/bootstrap.txt requirements/dev.txt $(PACKAGES:%=%/pyproject.toml)
STAMP := .venv/.setup-$(shell cat $(LOCKED) | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos lint chart-test bench images model-image neo4j lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv with everything that the other targets need

demo: setup ## start the mesh, ingest the examples, run four tasks, show what happened
	@$(BIN)/motet demo

test: setup ## run the tests, or those named in TESTS=
	@$(BIN)/pytest -n $(JOBS) $(TESTS)

chaos: setup ## run 10,000 tasks while parts are killed, paused and cut off, and audit; SEED=1, SERVERS=3
	@$(BIN)/python -m benchmarks chaos --tasks 10000 --seed $(or $(SEED),1) --servers $(or $(SERVERS),1)

lint: setup ## check style, format, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

chart-test: setup ## check the Helm chart: lint, schemas, templates, files, with KUBECONFIG a cluster too
	@tests/tools/install.sh helm >/dev/null || echo "so what needs helm is skipped" >&2
	@$(BIN)/pytest -n $(JOBS) tests/helm tests/contract/test_chart_files.py

bench: setup ## run the benchmark named in BENCH=, `hop` unless told otherwise
	@$(BIN)/python -m benchmarks $(BENCH)

images: ## build a container image a service, and one of the command
	@deploy/images.sh

model-image: ## build the container image of the local model, with 1.1 GB of weights
	@deploy/images.sh model

neo4j: ## start a real Neo4j on loopback, for MOTET_GRAPH_URL and the tests of the graph's store
	@deploy/neo4j/run.sh

lock: setup ## lock third parties anew after a pyproject.toml changed; UPGRADE=1 takes newer versions
	requirements/compile.sh $(if $(UPGRADE),--upgrade)
	$(MAKE) --no-print-directory setup

clean: ## remove .venv and everything else that is made, except downloaded models
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find shared services tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

$(STAMP):
	@requirements/install.sh $(PACKAGES)
	@rm -f .venv/.setup-* && touch $@
