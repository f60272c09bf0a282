# What a developer runs: see CONTRIBUTING.md. ARGS go to the tests or the benchmark, as in: make test ARGS="-k late"
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup test fast lint bench

help: ## Lists these targets.
	@sed -n 's/^\([a-z]*\): ## /\1\t/p' $(MAKEFILE_LIST)

setup: ## Sets the checkout up with the development tools.
	source scripts/environment.sh && find_python && set_up --dev

test: ## Runs all tests of a normal run.
	scripts/test.sh $(ARGS)

# No test here starts Spark; -p no:xdist: a second process would cost more than it saves.
fast: ## Runs the tests that need no Spark.
	.venv/bin/python -m pytest -q -p no:cacheprovider -p no:xdist $(ARGS) \
		tests/pipeline/planning tests/pipeline/landing tests/pipeline/report tests/pipeline/test_settings.py \
		tests/schemas tests/scripts/submission tests/tools/benchmarks tests/tools/drills \
		tests/docs/test_links.py tests/docs/test_reference.py

lint: ## Lints, formats, types and imports, as .ci/run does.
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/shellcheck --external-sources scripts/*.sh deploy/docker/*.sh deploy/docker/python .ci/run
	.venv/bin/hadolint deploy/docker/Dockerfile
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: ## Compares this batch with other ways of doing the same work.
	tools/benchmarks/run.sh $(ARGS)
