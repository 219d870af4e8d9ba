# Two commands on a fresh machine: `make demo` and `make test`. Each makes its own environment.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
# More than processors: tests wait for disks and servers for a third of their time.
WORKERS := $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))

.PHONY: help env demo test test-long torture check bench docs lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env:  ## the development environment in .venv, made anew only when the lock changes
	@scripts/environment

demo: env  ## the oil-price pipeline, end to end, over publishers that run on this machine (ENGINE=spark for Apache Spark)
	@$(if $(filter spark,$(ENGINE)),scripts/spark-jars)
	@$(BIN)/python examples/oil-prices/demo.py $(if $(ENGINE),--engine $(ENGINE))

test: env  ## every test but the long ones, with real servers
	@scripts/system-packages postgresql mariadb-server
	@scripts/object-servers
	@scripts/database-servers
	@scripts/spark-jars
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long"

check: env  ## format, lint, types, import contract, fresh generated pages, quick unit tests (under 2 minutes)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/generate --check
	@$(BIN)/python -m pytest -q -n 2 -m "not slow" tests/unit

test-long: env  ## the tests that take long
	@scripts/system-packages postgresql mariadb-server
	@scripts/object-servers
	@scripts/database-servers
	@scripts/java-servers
	@scripts/spark-jars
	@$(BIN)/python -m pytest -n 2 -m long

torture: env  ## kill and freeze the writers of every sink; writes docs/reliability.md (SINKS="sqlite delta" KILLS=50 ZOMBIES=30 ANSWERS=20 SEED=7 for a part)
	@scripts/system-packages postgresql mariadb-server
	@scripts/object-servers
	@$(BIN)/python scripts/torture $(if $(SINKS),--sinks $(SINKS)) $(if $(KILLS),--kills $(KILLS)) $(if $(ZOMBIES),--zombies $(ZOMBIES)) $(if $(ANSWERS),--answers $(ANSWERS)) $(if $(SEED),--seed $(SEED))

bench: env  ## every path against its floor and its peers, in one run; writes docs/benchmarks.md
	@scripts/system-packages postgresql
	@$(BIN)/python -m bench

docs: env  ## write the generated reference pages and the JSON Schema anew
	@$(BIN)/python scripts/generate

lock: env  ## resolve the dependencies anew
	@scripts/lock

clean:  ## remove the environment and caches
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
