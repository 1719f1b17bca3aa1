# On a fresh machine with Python >= 3.11 and make: `make demo`, `make test`.

PYTHON ?= python3
CDK_CLI := aws-cdk@2.1148.1
# What functions of the CDK in Node.js find in Lambda: the SDK.
JS_SDK := @aws-sdk/client-s3@3 @aws-sdk/client-cloudwatch-logs@3
BIN := .venv/bin
READY := .venv/.ready

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test explore simulate exhaustive check format conformance coverage diagram bench load clean

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(READY) ## Install everything into .venv

$(READY): pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1,<27'
	$(BIN)/python -m pip install --quiet --editable '.[local,predictor]' --group dev
	$(BIN)/npm install --silent --no-save --no-fund --no-audit --prefix .venv $(CDK_CLI) $(JS_SDK)
	@touch $@

demo: setup ## Train, deploy and predict on the local AWS
	@$(BIN)/python examples/digits/demo.py

test: setup ## Run the tests
	$(BIN)/python -m pytest -m "not conformance and not exhaustive" -n auto --dist loadfile --no-loadscope-reorder

explore: setup ## Look for new failing examples of the property tests
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -m "not conformance and not exhaustive" -n auto --dist loadfile --timeout 1800 \
		$$(grep -rlE "@given" tests/assets tests/unit)

check: setup ## Check format, lint, import rules and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=constructs $(BIN)/lint-imports
	$(BIN)/mypy
	@for root in lambda_assets/* training_assets inference_assets; do \
		MYPYPATH=$$root $(BIN)/mypy $$root || exit 1; \
	done

format: setup ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

simulate: setup ## Tell 50,000 stories of deployments in virtual time, and catch every mutant
	$(BIN)/python -m tests.simulation

exhaustive: setup ## Stop a deployment in each state and fail each of its calls, on the local AWS
	$(BIN)/python -m pytest -m exhaustive

conformance: setup ## Compare with AWS's own toolkits, in environments of their own
	$(BIN)/python tests/conformance/environments.py
	$(BIN)/python -m pytest -m conformance -n auto --dist loadfile --no-loadscope-reorder --timeout 1800

coverage: setup ## Write what has a parameter, and what the local AWS has: docs/coverage.md
	@$(BIN)/python scripts/write_coverage.py

diagram: setup ## Draw the demo app's state machine, for docs/architecture.md
	@$(BIN)/python scripts/draw_state_machine.py

bench: setup ## Measure against the references
	$(BIN)/python -m benchmarks

load: setup ## Ask Ray Serve for minutes what an hour of bad days brings
	PYTHONPATH=constructs $(BIN)/python benchmarks/load_ray_serving.py

clean: ## Remove what the targets made
	rm -rf .venv .cache .local-aws cdk.out dist build
